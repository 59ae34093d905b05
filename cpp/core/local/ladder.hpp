// Many local steps from few: what a round of L steps eta makes of a client, from rounds of L' < L steps
// of eta L / L'. Local steps are Euler's along the client's gradient flow, so that it is a smooth
// function of h = 1 / L',
//   F(h) = F_0 + h F_1 + h^2 F_2 + ...,
// and the polynomial through some h is taken at 1 / L. Its error is that of the last rung, nearly.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace localgd {

struct Ladder {
  static constexpr std::array<std::int64_t, 8> nodes{2, 3, 4, 6, 8, 12, 16, 24};  // L'
  static constexpr int least = 2;  // rungs, for an error estimate
  using Weights = std::array<double, nodes.size()>;

  double tolerance = 0;  // of the clients' mean change, relative
  int order = least;     // rungs from which on the error is looked at: what the last round took, less one

  std::int64_t extrapolated = 0, exact = 0;  // rounds so far
  std::int64_t most_steps = 0;               // of a rung that was taken

  // How many rungs are cheaper than L steps; 0 if they are too few for most rounds.
  static int rungs(std::int64_t L) {
    int count = 0;
    for (std::int64_t steps = 0; count < static_cast<int>(nodes.size()); ++count) {
      steps += nodes[static_cast<std::size_t>(count)];
      if (3 * steps > 2 * L) break;
    }
    return count > least ? count : 0;
  }

  // Lagrange's weights of the first rungs at 1 / L.
  static Weights weights(std::int64_t L, int order) {
    Weights all{};
    const auto h = [](std::size_t p) { return 1 / static_cast<double>(nodes[p]); };
    const auto count = static_cast<std::size_t>(order);
    for (std::size_t p = 0; p < count; ++p) {
      all[p] = 1;
      for (std::size_t q = 0; q < count; ++q)
        if (q != p) all[p] *= (1 / static_cast<double>(L) - h(q)) / (h(p) - h(q));
    }
    return all;
  }

  void took(int rungs) {
    ++extrapolated;
    order = std::max(least, rungs - 1);
    most_steps = std::max(most_steps, nodes[static_cast<std::size_t>(rungs - 1)]);
  }
  void gave_up() {
    ++exact;
    order = least;
  }
};

}  // namespace localgd
