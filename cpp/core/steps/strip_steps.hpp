// Local steps of several runs on one client, side by side in strips (panels.hpp). With the numbers
// of each run in its own lane, as in steps/span_steps.hpp:
//
//   m = A_i w_k + delta,   s <- keep s + e,   delta <- keep delta + step K_ii e
#pragma once

#include "../loss/registry.hpp"
#include "climb.hpp"
#include "strip_client.hpp"

namespace localgd {

// e = -l'(m), s <- keep s + e, of one strip whose largest |delta| is `spread`.
template <class Loss, class Real>
void strip_derivatives(const StripClient<Real>& c, Real spread) {
  constexpr Index width = strip_width<Real>;
  const auto take = [&](auto&& derivative) {
    for (Index j = 0; j < c.rows * width; j += lanes<Real>) {
      const Register<Real> e = derivative(j);
      store(c.scratch + j, e);
      store(c.sums + j, load(c.keep + j % width) * load(c.sums + j) + e);
    }
  };
  const auto short_exp = [&](auto power) {
    take([&](Index j) {
      return after_move<Loss>(load(c.at_start + j), load(c.base + j), load(c.delta + j), power);
    });
  };
  by_largest_move<Loss>(spread, short_exp, [&](auto loss) {
    take([&](Index j) {
      return derivative_at<decltype(loss)>(load(c.base + j) + load(c.delta + j),
                                           load(c.at_start + j));
    });
  });
}

// last: nobody reads the margins after the last step, so its matrix product is left out.
template <class Real, class Loss>
void strip_steps(const StripClient<Real>& c, std::int64_t steps, bool last) {
  constexpr Index width = strip_width<Real>;
  const Index size = c.rows * width;
  for (std::int64_t l = 0; l < steps; ++l) {
    for (Index s = 0; s < c.strips; ++s)
      strip_derivatives<Loss>(c.strip(s), largest(c.delta + s * size, size));
    if (last && l + 1 == steps) return;
    for (Index j = 0; c.decays && j < c.strips * size; ++j)
      c.delta[j] *= c.keep[j / size * width + j % width];
    c.gram.multiply(0, c.gram.count(), c.scratch, c.strips, c.step, c.delta);
  }
}

// A strip on a ladder: all of its runs, or none.
template <class Real>
struct StripLadder {
  static constexpr Index width = strip_width<Real>;
  const StripClient<Real>& c;
  const double *decay_of, *tau;  // of each lane: eta mu, and sum_l keep^l
  RowDerivatives<Real> of_loss;

  Index count() const { return c.rows * width; }
  MovedRows<Real> rows(const Real* delta) const {
    return {c.base, c.at_start, delta, count(), c.targets, count(), 1};
  }

  void derivatives(Real* e) const { of_loss.after_move(rows(c.delta), Real(0), e); }
  Real first_move(const Real* e, Real* delta) const {
    move(e, 1, delta);
    return largest(delta, count());
  }
  void move(const Real* e, int rungs, Real* delta) const {
    for (int rung = 0; rung < rungs; ++rung)
      c.gram.multiply(0, c.gram.count(), e + rung * count(), 1, c.step, delta + rung * count());
  }
  void change(Real spread, const Real* before, const Real* delta, Real* change) const {
    of_loss.change(rows(delta), spread, before, change);
  }
  Real climb(double L, int first, int last, LadderSpace<Real>& space, Real spread) const {
    climb_in_rows<Real>(*this, L, first, last, space, spread);
    return spread;
  }
  void decay(double ratio, Real* x) const {
    if (!c.decays) return;
    for (Index j = 0; j < c.rows; ++j)
      for (Index l = 0; l < width; ++l)
        x[j * width + l] *= static_cast<Real>(1 - ratio * decay_of[l]);
  }
  template <class Value>
  std::array<double, width> groups(const Real* /*before*/, Index numbers, Value&& value) const {
    const StripSizes<Real> sizes = sizes_of<Real>(numbers, value);
    std::array<double, width> all;
    const auto even = sizes.of[0], odd = sizes.of[1];
    for (std::size_t l = 0; l < all.size(); ++l)
      if constexpr (strip_registers == 1)
        all[l] = static_cast<double>(lane<Real>(even + odd, l));
      else
        all[l] =
            static_cast<double>(lane<Real>(l < all.size() / 2 ? even : odd, l % (all.size() / 2)));
    return all;
  }
  template <class G>
  void finish(const Real* before, double L, G&& mixed) const {
    std::array<Real, width> all;
    for (std::size_t l = 0; l < all.size(); ++l) all[l] = static_cast<Real>(tau[l]);
    for (Index j = 0; j < count(); j += lanes<Real>)
      store(c.sums + j, multiply_add(all_lanes(static_cast<Real>(L)), mixed(j),
                                     load(all.data() + j % width) * load(before + j)));
  }
  int expected(LadderSpace<Real>& space, std::int64_t L, double moves, double tolerance,
               int most) const {
    return space.expected(L, moves, tolerance, most);
  }
  double least_error(int, double, double, double, double) const { return 0; }
  std::int64_t take_first(const LadderSpace<Real>& space, int /*climbed*/) const {
    std::copy_n(space.before.data(), count(), c.sums);
    std::copy_n(space.first.data(), count(), c.delta);
    return 1;
  }
};

template <class Real, class Loss>
std::int64_t strip_ladder(const StripClient<Real>& c, std::int64_t L, const double* decay,
                          const double* tau, double tolerance, LadderSpace<Real>& space,
                          std::int64_t& rung) {
  const StripLadder<Real> ladder{c, decay, tau, row_derivatives<Loss, Real>};
  return climb_ladder<Real>(ladder, L, Ladder::most(L), tolerance, space, rung);
}

}  // namespace localgd
