// What the clients of a round change the model by, w_{k,i} - w_k, as coefficients b_i of their
// rows, in the order of the data.
#pragma once

#include "../data.hpp"
#include "../products.hpp"
#include "participants.hpp"

namespace localgd {

class LocalChanges {
 public:
  LocalChanges(const Data& data, Index outputs)
      : data_(&data), b_(Matrix<double>::Zero(data.samples(), outputs)) {}

  // n_i x C; and one of its columns
  auto of(Index client) { return rows_of(b_, *data_, client); }
  double* of(Index client, Index output) { return b_.col(output).data() + data_->begin(client); }
  Matrix<double>& all() { return b_; }
  const Matrix<double>& all() const { return b_; }

  // They are 0 but for those who take part.
  void begin(const Participants& now) {
    if (!now.all() && here_.some != now.clients()) {
      if (here_.all)
        b_.setZero();
      else
        for (const Index i : here_.some) of(i).setZero();
    }
    if (here_.all && now.all()) return;
    here_.all = now.all();
    here_.some = now.clients();
  }

  bool finite(const Participants& of) const {
    bool finite = true;
    of.for_each([&](Index i) {
      for (Index c = 0; c < b_.cols(); ++c)
        finite = finite && all_finite(b_.col(c).data() + data_->begin(i), data_->size(i));
    });
    return finite;
  }

  // The round is done: they are the last round's, whose place is taken.
  void swap(Matrix<double>& last) {
    last.swap(b_);
    std::swap(here_, in_last_);
  }

 private:
  struct Clients {
    bool all = false;
    std::vector<Index> some;
  };

  const Data* data_;
  Matrix<double> b_;
  Clients here_, in_last_;  // whose may not be 0
};

}  // namespace localgd
