// What the three engines share: the rows in Real, the kernels of the loss, the local phase of a round.
#pragma once

#include <algorithm>
#include <atomic>

#include "../local/gradient_descent.hpp"
#include "../loss/registry.hpp"
#include "engine.hpp"

namespace localgd {

// The kernels of one loss. A table rather than a template parameter: only the step loop inside is
// instantiated per loss.
template <class Real>
struct Kernels {
  decltype(&span_steps<Real, Exponential>) span;
  decltype(&primal_steps<Real, Exponential>) primal;

  static Kernels of(std::string_view loss) {
    return with_loss(loss, [](auto l) {
      using Loss = decltype(l);
      return Kernels{&span_steps<Real, Loss>, &primal_steps<Real, Loss>};
    });
  }
};

// The rows in Real: the caller's own array in float64, a copy in float32.
template <class Real>
class Rows {
 public:
  explicit Rows(const Data& data)
      : copy_(copy(data.rows)), view_(copy_.size() ? copy_.data() : source(data.rows),
                                      data.samples(), data.features()) {}
  const RowsView<Real>& all() const { return view_; }
  RowsView<Real> of(const Data& data, Index client) const {
    return RowsView<Real>(view_.data() + data.begin(client) * view_.cols(), data.size(client),
                          view_.cols());
  }

 private:
  static RowMatrix<Real> copy(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) return {};
    return rows.template cast<Real>();
  }
  static const Real* source(const RowsView<double>& rows) {
    if constexpr (std::is_same_v<Real, double>) return rows.data();
    return nullptr;
  }
  RowMatrix<Real> copy_;
  RowsView<Real> view_;
};

template <class Real>
class BaseEngine : public Engine {
 protected:
  BaseEngine(const Data& data, const EngineOptions& options)
      : Engine(data),
        rows_(data),
        kernels_(Kernels<Real>::of(options.loss)),
        local_steps_(options.local_steps),
        targets_(data.targets.template cast<Real>()),
        sums_(data.samples()) {}

  // Calls steps(client, count, done, thread) until all L steps of every client are done, in pieces
  // short enough that a stop is noticed, then finish(client, thread). False if it was stopped. The
  // costs of the work are flops per local step.
  template <class Steps, class Finish>
  bool local_phase(const Work& work, Team& team, Stop& stop, Steps steps, Finish finish) {
    constexpr double flops_per_piece = 5e7;  // some 20 ms
    const auto piece = std::max<std::int64_t>(
        1, static_cast<std::int64_t>(flops_per_piece / std::max(work.largest, 1.0)));
    std::atomic<bool> complete{true};
    team.for_each(work, [&](Index client, int thread) {
      for (std::int64_t done = 0; done < local_steps_;) {
        const std::int64_t count = std::min(piece, local_steps_ - done);
        if (done > 0 && stop.check(thread)) {
          complete.store(false, std::memory_order_relaxed);
          return;
        }
        steps(client, count, done, thread);
        done += count;
      }
      finish(client, thread);
    });
    return complete.load(std::memory_order_relaxed);
  }

  Real step_size(double lr, Index client) const {
    return static_cast<Real>(lr / static_cast<double>(data_.size(client)));
  }

  // b_i = (eta / n_i) s_i of the round at work.
  void read_sums(double lr, Index client) {
    const Index first = data_.begin(client), n = data_.size(client);
    next_changes_.segment(first, n) =
        (lr / static_cast<double>(n)) * sums_.segment(first, n).template cast<double>();
  }

  // Takes the round into the state unless something in it is inf or NaN: a += p_i b_i, x <- next.
  Outcome commit(Vector<double>& state, Vector<double>& next) {
    if (!next_changes_.allFinite() || !next.allFinite()) return Outcome::not_finite;
    for (Index i = 0; i < data_.clients(); ++i)
      coefficients_.segment(data_.begin(i), data_.size(i)) +=
          data_.weights[i] * next_changes_.segment(data_.begin(i), data_.size(i));
    local_changes_.swap(next_changes_);
    state.swap(next);
    return Outcome::done;
  }

  const Rows<Real> rows_;
  const Kernels<Real> kernels_;
  const std::int64_t local_steps_;
  const Vector<Real> targets_;
  Vector<Real> sums_;                                                   // s, all clients
  Vector<double> next_changes_ = Vector<double>::Zero(data_.samples());  // b of the round at work
};

}  // namespace localgd
