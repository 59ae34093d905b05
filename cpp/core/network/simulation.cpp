#include "simulation.hpp"

#include <algorithm>

namespace localgd {

NetworkSimulation::NetworkSimulation(const Data& data, const RunOptions& run,
                                     const NetworkOptions& options, int threads)
    : data_(data),
      engine_(make_network_engine(data, run.rule, options)),
      recorder_(data, options.network, options.loss, run.rule.init, run.record_rounds,
                run.keep_weights, run.rule.l2),
      last_round_(run.rounds),
      threads_(threads) {
  if (run.reference.size()) throw std::invalid_argument("reference: a network has none");
}

Status NetworkSimulation::advance(std::int64_t until, const Plans& plans,
                                  const std::function<bool(std::int64_t)>& stop_wanted) {
  if (until < round_) throw std::invalid_argument("until: the run is past that round");
  check(plans, until - round_, 1, data_.clients());
  Stop stop([&] { return stop_wanted && stop_wanted(round_); }, asked_);
  bool whole = true;
  Team::run(threads_, [&](Team& team) {
    whole = rounds(until, plans, team, stop);
    stalls_ += team.stalls();
  });
  asked_ = stop.asked();
  if (!whole) return Status::interrupted;
  return status_ == Status::running ? Status::completed : status_;
}

bool NetworkSimulation::rounds(std::int64_t until, const Plans& plans, Team& team, Stop& stop) {
  if (!prepared_ && !(prepared_ = engine_->prepare(team, stop))) return false;
  if (status_ == Status::diverged) status_ = Status::running;  // other rates may lead on
  attend(team);
  const bool listed = plans.offsets.size() > 1;
  for (std::size_t k = 0; round_ < until && running(); ++k) {
    if (stop.poll()) return false;
    RoundPlan plan{static_cast<double>(round_), plans.lrs[plans.lrs.size() > 1 ? k : 0],
                   plans.shares.data()};
    if (listed) {
      plan.shares += plans.offsets[k];
      plan.clients = plans.clients.data() + plans.offsets[k];
      plan.count = plans.offsets[k + 1] - plans.offsets[k];
    }
    plan.same_shares = !listed && k > 0;
    if (!listed || plan.count > 0) {
      const Outcome outcome = engine_->round(plan, team, stop);
      if (outcome == Outcome::stopped) return false;
      if (outcome != Outcome::done) {
        status_ = Status::diverged;
        return true;
      }
    }
    ++round_;
    participations_ += listed ? plan.count
                              : std::count_if(plan.shares, plan.shares + data_.clients(),
                                              [](double u) { return u > 0; });
    attend(team);
  }
  return true;
}

void NetworkSimulation::attend(Team& team) {
  if (recorder_.due(round_) && !recorder_.record(round_, participations_, *engine_, team))
    status_ = Status::diverged;
  else if (running() && round_ >= last_round_)
    status_ = Status::completed;
}

void NetworkSimulation::resume(std::int64_t round, std::int64_t participations, double drift) {
  round_ = round;
  participations_ = participations;
  recorder_.resume(round + 1, drift);
  status_ = Status::running;
}

Recorder::Seen NetworkSimulation::see(bool gradient) const {
  Recorder::Seen seen{};
  Team::run(threads_, [&](Team& team) { seen = recorder_.see(*engine_, gradient, team); });
  return seen;
}

void NetworkSimulation::record_now() {
  const auto& rounds = history().round;
  if (rounds.empty() || rounds.back() != round_)
    Team::run(threads_,
              [&](Team& team) { recorder_.record(round_, participations_, *engine_, team); });
}

}  // namespace localgd
