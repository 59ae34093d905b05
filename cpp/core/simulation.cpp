#include "simulation.hpp"

#include <algorithm>

namespace localgd {

namespace {

bool lists_clients(const Plans& plans) { return plans.offsets.size() > 1; }

// Whether the lists name some clients for each round, each once and in order, with shares above 0.
bool lists_fit(const Plans& plans, std::int64_t rounds, Index clients) {
  const auto& ends = plans.offsets;
  if (static_cast<std::int64_t>(ends.size()) != rounds + 1 || ends.front() != 0 ||
      ends.back() != static_cast<Index>(plans.clients.size()) ||
      plans.shares.size() != plans.clients.size())
    return false;
  for (std::size_t k = 0; k + 1 < ends.size(); ++k) {
    if (ends[k] >= ends[k + 1] || ends[k + 1] > ends.back()) return false;
    Index least = 0;
    for (auto at = static_cast<std::size_t>(ends[k]); at < static_cast<std::size_t>(ends[k + 1]);
         ++at) {
      if (plans.clients[at] < least || plans.clients[at] >= clients || !(plans.shares[at] > 0))
        return false;
      least = plans.clients[at] + 1;
    }
  }
  return true;
}

void check(const Plans& plans, std::int64_t rounds, Index clients) {
  const auto rates = static_cast<std::int64_t>(plans.lrs.size());
  if (rates != 1 && rates != rounds)
    throw std::invalid_argument("lrs: want one learning rate, or one for each round");
  if (lists_clients(plans) ? !lists_fit(plans, rounds, clients)
                           : static_cast<Index>(plans.shares.size()) != clients && rounds > 0)
    throw std::invalid_argument(
        "shares: want one number for each client, or clients of each round with theirs");
}

}  // namespace

Status Simulation::advance(std::int64_t until, const Plans& plans,
                           const std::function<bool(std::int64_t)>& stop_wanted) {
  if (until < round_) throw std::invalid_argument("until: the run is past that round");
  check(plans, until - round_, data_.clients());
  Stop stop([&] { return stop_wanted && stop_wanted(round_); });
  Status status = Status::running;
  Team::run(threads_, [&](Team& team) {
    status = rounds(until, plans, team, stop);
    stalls_ += team.stalls();
  });
  return status;
}

Status Simulation::rounds(std::int64_t until, const Plans& plans, Team& team, Stop& stop) {
  if (!prepared_) {
    if (!engine_->prepare(team, stop)) return Status::interrupted;
    prepared_ = true;
  }
  if (recorder_.due(round_) && !record()) return Status::diverged;
  const bool one_rate = plans.lrs.size() == 1, listed = lists_clients(plans);
  std::int64_t taking_part = 0;
  for (std::size_t k = 0; round_ < until; ++k) {
    if (stop.poll()) return Status::interrupted;
    RoundPlan plan{static_cast<double>(round_), plans.lrs[one_rate ? 0 : k], plans.shares.data()};
    if (listed) {
      plan.shares += plans.offsets[k];
      plan.clients = plans.clients.data() + plans.offsets[k];
      plan.count = plans.offsets[k + 1] - plans.offsets[k];
    }
    plan.same_shares = !listed && k > 0;
    const Outcome outcome = engine_->round(plan, team, stop);
    if (outcome == Outcome::stopped) return Status::interrupted;
    if (outcome == Outcome::not_finite) return Status::diverged;
    if (outcome == Outcome::infeasible) return Status::infeasible;
    ++round_;
    if (listed)
      taking_part = plan.count;
    else if (!plan.same_shares)
      taking_part =
          std::count_if(plan.shares, plan.shares + data_.clients(), [](double u) { return u > 0; });
    participations_ += taking_part;
    if (recorder_.due(round_) && !record()) return Status::diverged;
  }
  return Status::completed;
}

void Simulation::prepare(Team& team) {
  if (prepared_) return;
  Stop never(nullptr);
  engine_->prepare(team, never);
  prepared_ = true;
}

bool Simulation::map(double round, const std::vector<double>& lrs, const double* shares,
                     bool frozen, double tolerance, const Matrix<double>& coefficients,
                     Matrix<double>& velocity, Matrix<double>& controls,
                     std::vector<Matrix<double>>& changes) {
  bool finite = true;
  Team::run(threads_, [&](Team& team) {
    Stop never(nullptr);
    prepare(team);
    engine_->place(coefficients, nullptr, velocity, controls, team);
    for (std::size_t j = 0; j < lrs.size(); ++j, round += 1) {
      RoundPlan plan{round, lrs[j], shares};
      plan.frozen = frozen;
      plan.last = j + 1 == lrs.size();
      plan.tolerance = tolerance;
      if (engine_->round(plan, team, never) != Outcome::done) {
        finite = false;
        return;
      }
      changes.push_back(*engine_->last_round().change);
    }
    engine_->visit([&](const std::string& name, const Matrix<double>& values) {
      if (name == "velocity") velocity = values;
      if (name == "controls") controls = values;
    });
  });
  return finite;
}

namespace {

constexpr std::size_t block = 64;  // models whose weights stay in the cache, nearly

// The last rounds of several models, side by side.
class Gathered {
 public:
  Gathered(Index samples, Index outputs, Index models)
      : outputs_(outputs),
        models_(models),
        changes_(Matrix<double>::Zero(samples, outputs * models)) {
    last_.change = &changes_;
  }
  Gathered(const Gathered&) = delete;

  void put(Index model, const LastRound& round) {
    last_.shares = round.shares;
    const auto columns = [&](Matrix<double>& all) {
      return all.middleCols(model * outputs_, outputs_);
    };
    if (!last_.local_changes.size())
      last_.local_changes = Matrix<double>::Zero(changes_.rows(), changes_.cols());
    columns(last_.local_changes) = round.local_changes;
    columns(changes_) = *round.change;
    if (!round.common.size()) return;
    if (!last_.common.size()) {
      last_.common = Matrix<double>::Zero(changes_.rows(), changes_.cols());
      last_.kappa = Matrix<double>::Zero(round.kappa.rows(), models_);
    }
    columns(last_.common) = round.common;
    last_.kappa.col(model) = round.kappa;
  }
  const LastRound& rounds() const { return last_; }

 private:
  Index outputs_, models_;
  Matrix<double> changes_;
  LastRound last_;
};

Matrix<double> columns(MatrixView<double> all, Index first, Index count) {
  return all.size() ? Matrix<double>(all.middleCols(first, count)) : Matrix<double>();
}

}  // namespace

bool Simulation::record_states(std::int64_t first, const std::vector<StatePlan>& states,
                               const double* shares, double tolerance,
                               MatrixView<double> coefficients, MatrixView<double> velocity,
                               MatrixView<double> controls) {
  bool finite = true;
  Team::run(threads_, [&](Team& team) {
    prepare(team);
    for (std::size_t j = 0; j < states.size() && finite; j += block)
      finite =
          record_block(first, j, states, shares, tolerance, coefficients, velocity, controls, team);
  });
  return finite;
}

// Blocks are filled up with models 0, so that the bits of a record do not depend on how many there
// are.
bool Simulation::record_block(std::int64_t first, std::size_t begin,
                              const std::vector<StatePlan>& states, const double* shares,
                              double tolerance, MatrixView<double> coefficients,
                              MatrixView<double> velocity, MatrixView<double> controls,
                              Team& team) {
  const auto count = static_cast<Index>(std::min(block, states.size() - begin));
  const auto models = static_cast<Index>(block), start = static_cast<Index>(begin);
  const Index outputs = coefficients.cols() / static_cast<Index>(states.size());
  Matrix<double> all = Matrix<double>::Zero(data_.samples(), outputs * models), margins, weights;
  all.leftCols(count * outputs) = coefficients.middleCols(start * outputs, count * outputs);
  engine_->models(all, margins, weights, team);
  Gathered next(data_.samples(), outputs, models), after(data_.samples(), outputs, models);
  Stop never(nullptr);
  for (Index s = 0; s < count; ++s) {
    const StatePlan& state = states[begin + static_cast<std::size_t>(s)];
    const auto own = [&](MatrixView<double> of) {
      return columns(of, (start + s) * outputs, outputs);
    };
    const Matrix<double> at = margins.middleCols(s * outputs, outputs);
    engine_->place(own(coefficients), &at, own(velocity), own(controls), team);
    RoundPlan plan{state.round, state.lr, shares};
    plan.frozen = plan.last = state.frozen;
    plan.tolerance = tolerance;
    if (engine_->round(plan, team, never) != Outcome::done) return false;
    next.put(s, engine_->last_round());
    if (state.frozen) continue;
    plan.round += 1;
    plan.last = true;
    if (engine_->round(plan, team, never) != Outcome::done) return false;
    after.put(s, engine_->last_round());
  }
  Vector<double> drifts = recorder_.drifts(next.rounds(), models);
  if (after.rounds().shares.size()) {
    // Drifts fall like powers of the round: the one before two that follow is geometric.
    const Vector<double> later = recorder_.drifts(after.rounds(), models);
    for (Index s = 0; s < models; ++s)
      if (later[s] > 0) drifts[s] *= drifts[s] / later[s];
  }
  return recorder_.record(first + start, count, participations_, drifts, margins, weights);
}

void Simulation::record_now() {
  const auto& rounds = recorder_.history().round;
  if (rounds.empty() || rounds.back() != round_) record();
}

}  // namespace localgd
