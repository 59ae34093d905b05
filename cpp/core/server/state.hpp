// What a server may remember of a number of the model beside its value.
#pragma once

namespace localgd {

// Which of them a server keeps.
struct ServerKeeps {
  bool anchor = false, velocity = false, squares = false;
};

// One number at work: anchor and value are x_0 and x_k; change() of a server makes those of the
// next round of velocity and squares. What a server does not keep is 0.
struct ServerState {
  double value = 0, anchor = 0, velocity = 0, squares = 0;
};

}  // namespace localgd
