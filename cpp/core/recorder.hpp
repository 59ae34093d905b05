// The measures of mathematics.md section 6 at chosen rounds.
#pragma once

#include <limits>

#include "engine/engine.hpp"
#include "loss/registry.hpp"

namespace localgd {

struct History {
  std::vector<std::int64_t> round;
  std::vector<double> loss;    // sum_ij c_ij l(m_ij)
  std::vector<double> margin;  // min_j z_j.w / |w|; NaN for w = 0
  std::vector<double> norm;    // |w|
  std::vector<double> angle;   // 2 atan2(|u - v|, |u + v|) of the unit vectors; NaN for w = 0
  std::vector<double> drift;   // sum_i p_i |w_{k-1,i} - w_k|^2; NaN before the first round
  std::vector<double> weights; // w_k of every record, one after the other, if they are kept
};

class Recorder {
 public:
  // rounds: sorted, each at most once. reference: a direction, or empty for no angle.
  Recorder(const Data& data, std::string_view loss, std::vector<std::int64_t> rounds,
           Vector<double> reference, bool keep_weights = false);

  bool due(std::int64_t round) const { return next_ < rounds_.size() && rounds_[next_] == round; }

  // Measures the engine's state at this round. False, and nothing written, if the loss is not finite.
  bool record(std::int64_t round, Engine& engine);

  // Goes on after the records of an earlier run: rounds before `round` are not due any more.
  void skip_before(std::int64_t round);

  const History& history() const { return history_; }

 private:
  double loss(const Vector<double>& margins) const;
  double smallest_margin(const Vector<double>& margins) const;
  double angle(const Vector<double>& weights, double norm) const;
  double drift(const Vector<double>& local_changes) const;

  const Data& data_;
  double (*loss_value_)(double, double);
  bool signed_rows_;
  std::vector<std::int64_t> rounds_;
  std::size_t next_ = 0;
  Vector<double> reference_;  // unit, or empty
  bool keep_weights_;
  History history_;
};

}  // namespace localgd
