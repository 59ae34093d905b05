// Compiled without contraction of products and sums to fused ones: in a step such as a x + b y the
// compiler may fuse either product, and takes one in whole registers and the other at their end.
#include "track.hpp"

namespace localgd {

namespace {

// x <- x + c, c of D in place, for some rows of a column; the state as in Track.
struct Numbers {
  Index count;
  const double *value, *anchor, *velocity, *squares;
  double* __restrict c;
  double* __restrict next;
  double* __restrict next_velocity;
  double* __restrict next_squares;
};

void scale(double factor, const Numbers& __restrict at) {
  for (Index j = 0; j < at.count; ++j) {
    at.c[j] *= factor;
    at.next[j] = at.value[j] + at.c[j];
  }
}

template <class Own>
void step(const Own server, double k, const Numbers& __restrict at) {
  constexpr ServerKeeps keeps = Own::keeps;
  for (Index j = 0; j < at.count; ++j) {
    ServerState x{.value = at.value[j]};
    if constexpr (keeps.anchor) x.anchor = at.anchor[j];
    if constexpr (keeps.velocity) x.velocity = at.velocity[j];
    if constexpr (keeps.squares) x.squares = at.squares[j];
    at.c[j] = server.change(k, at.c[j], x);
    at.next[j] = at.value[j] + at.c[j];
    if constexpr (keeps.velocity) at.next_velocity[j] = x.velocity;
    if constexpr (keeps.squares) at.next_squares[j] = x.squares;
  }
}

}  // namespace

Track::Track(const ServerRule& rule, Matrix<double> start)
    : value(std::move(start)),
      change(Matrix<double>::Zero(value.rows(), value.cols())),
      mean(change),
      rule_(rule),
      next_(value) {
  std::visit(
      [&]<class Own>(const Own& server) {
        if (factor_of(server)) return;
        if constexpr (Own::keeps.anchor) anchor = value;
        if constexpr (Own::keeps.velocity) velocity = next_velocity_ = change;
        if constexpr (Own::keeps.squares)
          squares = next_squares_ =
              Matrix<double>::Constant(value.rows(), value.cols(), server.first_squares());
      },
      rule.server);
}

void Track::advance(double k, Index first, Index count) {
  const auto at = [&](auto& matrix, Index column) {
    return matrix.size() ? matrix.col(column).data() + first : nullptr;
  };
  std::visit(
      [&]<class Own>(const Own& server) {
        const std::optional<double> factor = factor_of(server);
        for (Index column = 0; column < mean.cols(); ++column) {
          const Numbers numbers{count,
                                at(value, column),
                                at(anchor, column),
                                at(velocity, column),
                                at(squares, column),
                                at(mean, column),
                                at(next_, column),
                                at(next_velocity_, column),
                                at(next_squares_, column)};
          if (factor)
            scale(*factor, numbers);
          else if constexpr (requires { &Own::change; })
            step(server, k, numbers);
        }
      },
      rule_.server);
}

}  // namespace localgd
