// What is known of a loss beside its values: for those who choose one, or refuse it.
#pragma once

#include <array>
#include <limits>
#include <string_view>

namespace localgd {

// -l'(m) exp(rate m) -> factor as the margin grows; a rate of 0: none that is known.
struct Tail {
  double rate = 0, factor = 1;
};

struct LossFacts {
  std::array<std::string_view, 2> tasks;  // that it fits: "binary", "multiclass" or "regression"
  // The largest l''; where there is no bound, that at margin 0 if margins are to grow from there,
  // or infinity.
  double curvature;
  Tail tail{};
  bool bounded = false;  // |l'| is, so that hardly any rate overflows
  int overflows = 0;     // l does, where a margin is below -709 (-1) or above 709 (1); float: 88
  double least_target = -std::numeric_limits<double>::infinity();
  // l'' does not jump. Where it does, an extrapolation of local steps cannot see that a margin
  // passes that place after the steps that it takes, so all are taken.
  bool smooth = true;
  // The exact local solve, margins of 1 or x . w = y, is that of the loss.
  bool has_exact_solve = true;
};

}  // namespace localgd
