#include "simulation.hpp"

namespace localgd {

namespace {

// Plans for one round or for each of `rounds`.
void check(const Plans& plans, std::int64_t rounds, Index clients) {
  const auto fits = [&](std::size_t got, Index per_round) {
    return static_cast<std::int64_t>(got) == per_round ||
           static_cast<std::int64_t>(got) == rounds * per_round;
  };
  if (!fits(plans.lrs.size(), 1))
    throw std::invalid_argument("lrs: want one learning rate, or one for each round");
  if (!fits(plans.shares.size(), clients))
    throw std::invalid_argument("shares: want one number for each client, or for each and round");
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
  const auto clients = static_cast<std::size_t>(data_.clients());
  const bool one_rate = plans.lrs.size() == 1, same_shares = plans.shares.size() == clients;
  for (std::size_t k = 0; round_ < until; ++k) {
    if (stop.poll()) return Status::interrupted;
    RoundPlan plan{static_cast<double>(round_), plans.lrs[one_rate ? 0 : k],
                   plans.shares.data() + (same_shares ? 0 : k * clients)};
    plan.words = plans.words + static_cast<Index>(k) * plans.slots * plans.width;
    plan.width = plans.width;
    const Outcome outcome = engine_->round(plan, team, stop);
    if (outcome == Outcome::stopped) return Status::interrupted;
    if (outcome == Outcome::not_finite) return Status::diverged;
    if (outcome == Outcome::infeasible) return Status::infeasible;
    ++round_;
    for (std::size_t i = 0; i < clients; ++i) participations_ += plan.shares[i] > 0;
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

bool Simulation::map(double round, const std::vector<double>& lrs, const double* shares, bool frozen,
                     const Matrix<double>& coefficients, Matrix<double>& velocity,
                     Matrix<double>& controls, std::vector<Matrix<double>>& changes) {
  bool finite = true;
  Team::run(threads_, [&](Team& team) {
    Stop never(nullptr);
    prepare(team);
    engine_->place(coefficients, velocity, controls, team);
    for (const double lr : lrs) {
      RoundPlan plan{round, lr, shares};
      plan.frozen = frozen;
      if (engine_->round(plan, team, never) != Outcome::done) {
        finite = false;
        return;
      }
      changes.push_back(*engine_->last_round().change);
      round += 1;
    }
    for (const auto& [name, values] : engine_->state()) {
      if (name == "velocity") velocity = *values;
      if (name == "controls") controls = *values;
    }
  });
  return finite;
}

bool Simulation::record_state(std::int64_t index, double round, double lr, const double* shares,
                              bool frozen, const Matrix<double>& coefficients,
                              const Matrix<double>& velocity, const Matrix<double>& controls) {
  bool finite = true;
  Team::run(threads_, [&](Team& team) {
    Stop never(nullptr);
    prepare(team);
    engine_->place(coefficients, velocity, controls, team);
    RoundPlan plan{round, lr, shares};
    plan.frozen = frozen;
    double drifts[2] = {};
    const int taken = frozen ? 1 : 2;
    for (int j = 0; j < taken && finite; ++j, plan.round += 1) {
      finite = engine_->round(plan, team, never) == Outcome::done;
      drifts[j] = drift();
    }
    if (!finite) return;
    // Drifts fall like powers of the round: the one before two that follow is geometric.
    const bool falls = taken == 2 && drifts[1] > 0;
    engine_->place(coefficients, velocity, controls, team);
    finite = recorder_.record(index, participations_, falls ? drifts[0] * (drifts[0] / drifts[1]) : drifts[0],
                              *engine_);
  });
  return finite;
}

void Simulation::record_now() {
  const auto& rounds = recorder_.history().round;
  if (rounds.empty() || rounds.back() != round_) record();
}

}  // namespace localgd
