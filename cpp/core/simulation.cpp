#include "simulation.hpp"

#include <algorithm>

namespace localgd {

namespace {

bool lists_clients(const Plans& plans) { return plans.offsets.size() > 1; }

// Whether the lists name clients for each round, each once and in order, with shares above 0.
bool lists_fit(const Plans& plans, std::int64_t rounds, Index clients) {
  const auto& ends = plans.offsets;
  if (static_cast<std::int64_t>(ends.size()) != rounds + 1 || ends.front() != 0 ||
      ends.back() != static_cast<Index>(plans.clients.size()) ||
      plans.shares.size() != plans.clients.size())
    return false;
  for (std::size_t k = 0; k + 1 < ends.size(); ++k) {
    if (ends[k] > ends[k + 1] || ends[k + 1] > ends.back()) return false;
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

std::vector<RunRule> rules_of(const std::vector<RunOptions>& runs) {
  std::vector<RunRule> rules;
  for (const RunOptions& run : runs) rules.push_back(run.rule);
  return rules;
}

}  // namespace

void check(const Plans& plans, std::int64_t rounds, Index runs, Index clients) {
  const auto rates = static_cast<std::int64_t>(plans.lrs.size());
  if (rates != runs && rates != rounds * runs)
    throw std::invalid_argument("lrs: want one learning rate, or one for each round");
  if (lists_clients(plans) ? !lists_fit(plans, rounds, clients)
                           : static_cast<Index>(plans.shares.size()) != clients && rounds > 0)
    throw std::invalid_argument(
        "shares: want one number for each client, or clients of each round with theirs");
}

Simulation::Simulation(const Data& data, const std::vector<RunOptions>& runs,
                       const EngineOptions& options, int threads)
    : data_(data), engine_(data, rules_of(runs), options), threads_(threads) {
  for (const RunOptions& run : runs) {
    if (run.rounds < 0) throw std::invalid_argument("rounds: want at least 0");
    going_.push_back(static_cast<Index>(runs_.size()));
    runs_.push_back({Recorder(data, options.loss, run.record_rounds, run.reference,
                              run.keep_weights, run.rule.l2, options.local.rates.own()),
                     run.rounds});
  }
}

Status Simulation::advance(std::int64_t until, const Plans& plans,
                           const std::function<bool(std::int64_t)>& stop_wanted) {
  if (until < round_) throw std::invalid_argument("until: the run is past that round");
  check(plans, until - round_, static_cast<Index>(runs_.size()), data_.clients());
  const bool listed = lists_clients(plans);
  if (plans.present.size() != (!data_.ranks ? 0 : listed ? plans.offsets.size() - 1 : 1))
    throw std::invalid_argument("present: want how many clients of all ranks take part in a round");
  Stop stop([&] { return stop_wanted && stop_wanted(round_); }, asked_);
  bool whole = true;
  Team::run(threads_, [&](Team& team) {
    whole = rounds(until, plans, team, stop);
    stalls_ += team.stalls();
  });
  asked_ = stop.asked();
  if (!whole) return Status::interrupted;
  const bool some = std::any_of(runs_.begin(), runs_.end(), [](const Run& run) {
    return run.status == Status::running || run.status == Status::completed;
  });
  return some ? Status::completed : runs_.front().status;
}

bool Simulation::rounds(std::int64_t until, const Plans& plans, Team& team, Stop& stop) {
  if (!prepare(team, stop)) return false;
  try_again();
  attend(team);
  if (engine_.failed()) return false;
  const std::size_t rates = plans.lrs.size() == runs_.size() ? 0 : runs_.size();
  const bool listed = lists_clients(plans);
  static constexpr Index nobody = 0;  // where the lists of this rank are empty
  std::int64_t taking_part = 0;
  for (std::size_t k = 0; round_ < until && running(); ++k) {
    if (stop.poll() && !data_.ranks) return false;  // or all ranks agree on it in the round
    RoundPlan plan{static_cast<double>(round_), plans.lrs[k * rates], plans.shares.data()};
    plan.lrs = plans.lrs.data() + k * rates;
    plan.runs = &going_;
    if (listed) {
      plan.shares += plans.offsets[k];
      plan.clients = plans.clients.empty() ? &nobody : plans.clients.data() + plans.offsets[k];
      plan.count = plans.offsets[k + 1] - plans.offsets[k];
    }
    if (data_.ranks) plan.present = plans.present[listed ? k : 0];
    plan.same_shares = !listed && k > 0;
    Outcome outcome = Outcome::done;
    if (listed && (data_.ranks ? plan.present : plan.count) == 0)
      engine_.rest(plan.round);
    else
      outcome = engine_.round(plan, team, stop);
    if (outcome == Outcome::stopped) return false;
    if (outcome != Outcome::done) leave(outcome);
    if (!running()) return true;
    ++round_;
    if (data_.ranks)
      taking_part = plan.present;
    else if (listed)
      taking_part = plan.count;
    else if (!plan.same_shares)
      taking_part =
          std::count_if(plan.shares, plan.shares + data_.clients(), [](double u) { return u > 0; });
    participations_ += taking_part;
    if (round_ >= attend_at_) attend(team);
    if (engine_.failed()) return false;
  }
  return true;
}

// Records the runs of which this round is due, ends those that are at their end, and looks for the
// next round at which there is such a thing to do.
void Simulation::attend(Team& team) {
  std::vector<Index> due;
  for (const Index run : going_)
    if (at(run).recorder.due(round_)) due.push_back(run);
  if (!due.empty()) {
    const std::vector<bool> recorded = record(due, team);
    for (std::size_t r = 0; r < due.size(); ++r)
      if (!recorded[r] && !engine_.failed()) end(due[r], Status::diverged);
  }
  for (const Index run : going_)
    if (goes_on(run) && round_ >= at(run).rounds) end(run, Status::completed);
  std::erase_if(going_, [&](Index run) { return !goes_on(run); });
  attend_at_ = RunOptions::endless;
  for (const Index run : going_)
    attend_at_ = std::min({attend_at_, at(run).recorder.next(), at(run).rounds});
}

// Leaves the runs behind that have not taken the round.
void Simulation::leave(Outcome outcome) {
  for (const Index run : going_)
    if (!engine_.took_round(run))
      end(run, outcome == Outcome::infeasible ? Status::infeasible : Status::diverged);
  std::erase_if(going_, [&](Index run) { return !goes_on(run); });
}

void Simulation::end(Index run, Status status) {
  at(run).round = round_;
  at(run).participations = participations_;
  at(run).status = status;
}

// Other rates or shares may lead on from where the last runs could not.
void Simulation::try_again() {
  if (running()) return;
  for (std::size_t run = 0; run < runs_.size(); ++run) {
    const bool failed =
        runs_[run].status == Status::diverged || runs_[run].status == Status::infeasible;
    if (!failed || runs_[run].round != round_) continue;
    runs_[run].status = Status::running;
    going_.push_back(static_cast<Index>(run));
  }
}

void Simulation::resume(std::int64_t round, std::int64_t participations, double drift) {
  if (runs_.size() > 1) throw std::logic_error("resume: want one run");
  round_ = round;
  participations_ = participations;
  Run& run = runs_.front();
  run.recorder.resume(round + 1, drift);
  run.status = Status::running;
  going_ = {0};
}

// Runs at the same round share their matrix products. False for those whose loss is not finite.
std::vector<bool> Simulation::record(const std::vector<Index>& runs, Team& team) {
  std::vector<Recorder*> recorders;
  for (const Index run : runs) recorders.push_back(&at(run).recorder);
  engine_.select(runs);
  const Vector<double> drifts =
      recorders.front()->drifts(engine_.last_round(), team, static_cast<Index>(runs.size()));
  return Recorder::record_runs(recorders, round(runs.front()), participations(runs.front()), drifts,
                               engine_.margins(), engine_.weights(), team);
}

void Simulation::record_now(Index run) {
  const auto& rounds = history(run).round;
  if (rounds.empty() || rounds.back() != round(run))
    Team::run(threads_, [&](Team& team) { record({run}, team); });
}

Recorder::Seen Simulation::see(bool gradient, Index run) {
  return by_team([&](Team& team) {
    return at(run).recorder.see(select(run).margins(), engine_.weights(), gradient, team);
  });
}
double Simulation::drift(Index run) {
  return by_team(
      [&](Team& team) { return at(run).recorder.drifts(select(run).last_round(), team)[0]; });
}
Matrix<double> Simulation::client_models(Index run) {
  return by_team([&](Team& team) {
    const LastRound& last = select(run).last_round();
    return at(run).recorder.client_models(last, engine_.weights(), team);
  });
}

bool Simulation::prepare(Team& team, Stop& stop) {
  if (prepared_) return true;
  const bool own = engine_.prepare(team, stop);
  return prepared_ = least_of_all(data_.ranks.get(), own ? 1 : 0) > 0;
}

bool Simulation::map(double round, const std::vector<double>& lrs, const double* shares,
                     bool frozen, double tolerance, const Matrix<double>& coefficients,
                     Matrix<double>& velocity, Matrix<double>& controls,
                     std::vector<Matrix<double>>& changes) {
  bool finite = true;
  Team::run(threads_, [&](Team& team) {
    Stop never(nullptr);
    prepare(team, never);
    engine_.place(coefficients, nullptr, velocity, controls, team);
    for (std::size_t j = 0; j < lrs.size(); ++j, round += 1) {
      RoundPlan plan{round, lrs[j], shares};
      plan.frozen = frozen;
      plan.last = j + 1 == lrs.size();
      plan.tolerance = tolerance;
      if (engine_.round(plan, team, never) != Outcome::done) {
        finite = false;
        return;
      }
      changes.push_back(*engine_.last_round().change);
    }
    engine_.visit([&](const std::string& name, const Matrix<double>& values) {
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
    Stop never(nullptr);
    prepare(team, never);
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
  engine_.models(all, margins, weights, team);
  Gathered next(data_.samples(), outputs, models), after(data_.samples(), outputs, models);
  Stop never(nullptr);
  for (Index s = 0; s < count; ++s) {
    const StatePlan& state = states[begin + static_cast<std::size_t>(s)];
    const auto own = [&](MatrixView<double> of) {
      return columns(of, (start + s) * outputs, outputs);
    };
    const Matrix<double> at = margins.middleCols(s * outputs, outputs);
    engine_.place(own(coefficients), &at, own(velocity), own(controls), team);
    RoundPlan plan{state.round, state.lr, shares};
    plan.frozen = plan.last = state.frozen;
    plan.tolerance = tolerance;
    if (engine_.round(plan, team, never) != Outcome::done) return false;
    next.put(s, engine_.last_round());
    if (state.frozen) continue;
    plan.round += 1;
    plan.last = true;
    if (engine_.round(plan, team, never) != Outcome::done) return false;
    after.put(s, engine_.last_round());
  }
  Vector<double> drifts = runs_.front().recorder.drifts(next.rounds(), team, models);
  if (after.rounds().shares.size()) {
    // Drifts fall like powers of the round: the one before two that follow is geometric.
    const Vector<double> later = runs_.front().recorder.drifts(after.rounds(), team, models);
    for (Index s = 0; s < models; ++s)
      if (later[s] > 0) drifts[s] *= drifts[s] / later[s];
  }
  return runs_.front().recorder.record(first + start, count, participations_, drifts, margins,
                                       weights, team);
}

}  // namespace localgd
