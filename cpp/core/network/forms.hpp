// In which form each client takes its steps (client.hpp), what it moves there, and what that costs.
#pragma once

#include <limits>
#include <numeric>
#include <vector>

#include "../data.hpp"
#include "../round/round.hpp"
#include "network.hpp"

namespace localgd {

class NetworkForms {
 public:
  static constexpr double shared_flops = 2e7;  // of a step that is worth sharing among threads

  // All must outlive it; columns: h, padded.
  NetworkForms(const Data& data, const Network& network, const Round& round, Index columns)
      : data_(data), network_(network), round_(round) {
    for (Index i = 0; i < data.clients(); ++i) {
      const double rows = static_cast<double>(data.size(i)), entries = entries_of_row(i);
      const bool span = network.form == "span" || (network.form == "auto" && rows <= 2 * entries);
      in_span_.push_back(span);
      flops_.push_back((span ? 2 * rows : 4 * entries) *
                       static_cast<double>(round.rows_of_step(i) * columns));
    }
  }

  // A step in the span takes 2 n b h flops, one in the weights 4 b q h with q the entries of a row,
  // which is d of dense ones: n <= 2 q.
  bool in_span(Index i) const { return in_span_[static_cast<std::size_t>(i)] != 0; }
  Index in_span() const { return std::accumulate(in_span_.begin(), in_span_.end(), Index{0}); }
  double flops_of_step(Index i) const { return flops_[static_cast<std::size_t>(i)]; }

  // K_ii is of use: there are steps after the first one, or clients start elsewhere.
  bool wants_gram(Index i) const {
    return network_.first && in_span(i) && (round_.steps(i) > 1 || displaces());
  }
  bool moves_weights(Index i) const {
    return network_.first && !in_span(i) && (round_.steps(i) > 1 || corrects());
  }
  // Of P' or W', if one of them moves.
  Index moved_rows(Index i) const {
    return wants_gram(i) ? rows_in_span(i) : moves_weights(i) ? data_.features() : 0;
  }
  // Of P' and K where steps are taken in the span: those of the client, and of e_d (client.hpp).
  Index rows_in_span(Index i) const { return data_.size(i) + (frees_bias() ? 1 : 0); }

  // Something joins every step.
  bool shifts() const { return round_.rule().l2 > 0 || corrects(); }
  // lambda leaves b, the last row of W, alone.
  bool frees_bias() const { return data_.free_intercept && round_.rule().l2 > 0 && network_.first; }
  // b' stands in what moves; after a single step nothing has.
  bool follows_bias(Index i) const { return frees_bias() && round_.steps(i) > 1; }

  // Whose steps may be worth sharing among threads.
  bool large(Index i) const { return flops_of_step(i) >= shared_flops; }
  // From how many flops on a client of the round would be waited for, so that all threads share its
  // steps.
  double least_shared(int threads) const {
    if (threads == 1) return std::numeric_limits<double>::infinity();
    double all = 0;
    round_.participants().for_each([&](Index i) { all += flops(i); });
    return all / (4.0 * threads);
  }
  bool shared(Index i, double least) const { return large(i) && flops(i) > least; }

 private:
  double entries_of_row(Index i) const {
    const Index begin = data_.begin(i), n = data_.size(i);
    return static_cast<double>(data_.rows->entries_before(begin + n) -
                               data_.rows->entries_before(begin)) /
           static_cast<double>(n) * (data_.sparse() ? Network::sparse_cost : 1.0);
  }
  double flops(Index i) const {
    return flops_of_step(i) * static_cast<double>(round_.steps_taken(i));
  }
  bool corrects() const { return round_.rule().correction != nullptr; }
  bool displaces() const { return corrects() && !round_.rule().correction->pulls(); }

  const Data& data_;
  const Network& network_;
  const Round& round_;
  std::vector<char> in_span_;
  std::vector<double> flops_;
};

}  // namespace localgd
