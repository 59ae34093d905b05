#include "simulation.hpp"

namespace localgd {

Status Simulation::advance(std::int64_t until, const std::vector<double>& lrs,
                           const std::function<bool(std::int64_t)>& stop_wanted) {
  if (until < round_) throw std::invalid_argument("until: the run is past that round");
  if (lrs.size() != 1 && static_cast<std::int64_t>(lrs.size()) != until - round_)
    throw std::invalid_argument("lrs: want one learning rate, or one for each round");
  Stop stop([&] { return stop_wanted && stop_wanted(round_); });
  Status status = Status::running;
  Team::run(threads_, [&](Team& team) {
    status = rounds(until, lrs, team, stop);
    stalls_ += team.stalls();
  });
  return status;
}

Status Simulation::rounds(std::int64_t until, const std::vector<double>& lrs, Team& team,
                          Stop& stop) {
  if (!prepared_) {
    if (!engine_->prepare(team, stop)) return Status::interrupted;
    prepared_ = true;
  }
  if (recorder_.due(round_) && !recorder_.record(round_, *engine_)) return Status::diverged;
  for (std::size_t k = 0; round_ < until; ++k) {
    if (stop.poll()) return Status::interrupted;
    const Outcome outcome = engine_->round(lrs.size() == 1 ? lrs[0] : lrs[k], team, stop);
    if (outcome == Outcome::stopped) return Status::interrupted;
    if (outcome == Outcome::not_finite) return Status::diverged;
    ++round_;
    if (recorder_.due(round_) && !recorder_.record(round_, *engine_)) return Status::diverged;
  }
  return Status::completed;
}

void Simulation::record_now() {
  const auto& rounds = recorder_.history().round;
  if (rounds.empty() || rounds.back() != round_) recorder_.record(round_, *engine_);
}

}  // namespace localgd
