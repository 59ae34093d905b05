// What a server may keep of a number of the model, and the parameters that it may have.
#pragma once

#include <limits>

namespace localgd {

// What numbers a parameter may be: from `least` on, or above it, and below `below`.
struct Limits {
  double least = 0;
  bool open = false;
  double below = std::numeric_limits<double>::infinity();
};
inline constexpr Limits from_0{}, above_0{.open = true}, from_0_below_1{.below = 1};

struct ServerKeeps {
  bool anchor = false, velocity = false, squares = false;
};

// A number as change() finds it: x_k and, of what the server keeps, x_0, the velocity and the
// squares. It leaves there the velocity and the squares after the round.
struct ServerState {
  double value = 0, anchor = 0, velocity = 0, squares = 0;
};

// What rounds with D = 0 make of a number where x_0 = 0: x <- x_kept x + x_moved v, v <- v_kept v.
struct Idle {
  double x_kept = 1, x_moved = 0, v_kept = 1;
};

}  // namespace localgd
