#include "batch.hpp"

#include "../matrix_products.hpp"

namespace localgd {

Batch::Batch(const Data& data, const BatchOptions& options, const std::vector<RunOptions>& runs,
             int threads)
    : data_(data), engine_(make_batch_engine(data, options)), threads_(threads) {
  runs_.reserve(runs.size());
  // A round has few steps at least, and a product with K that several columns share.
  double flops = 0;
  for (Index i = 0; i < data.clients(); ++i)
    flops += 8 * static_cast<double>(data.size(i)) * static_cast<double>(data.size(i));
  flops += static_cast<double>(data.samples()) * static_cast<double>(data.samples());
  for (const RunOptions& run : runs) {
    if (run.rounds < 0) throw std::invalid_argument("rounds: want at least 0");
    runs_.push_back({Column(data, run.init, run.server, run.prox, flops),
                     Recorder(data, options.loss, run.record_rounds, run.reference), run.rounds});
  }
  for (Run& run : runs_) live_.push_back(&run);
  clients_ = (data.weights.array() > 0).count();
}

Status Batch::advance(std::int64_t until, const std::vector<std::vector<double>>& lrs,
                      const std::function<bool(std::int64_t)>& stop_wanted) {
  if (until < round_) throw std::invalid_argument("until: the runs are past that round");
  if (lrs.size() != runs_.size()) throw std::invalid_argument("lrs: want a list for each run");
  for (const auto& rates : lrs)
    if (rates.size() != 1 && static_cast<std::int64_t>(rates.size()) != until - round_)
      throw std::invalid_argument("lrs: want one learning rate, or one for each round");
  Stop stop([&] { return stop_wanted && stop_wanted(round_); });
  bool complete = true;
  Team::run(threads_, [&](Team& team) { complete = rounds(until, lrs, team, stop); });
  return complete ? Status::completed : Status::interrupted;
}

bool Batch::rounds(std::int64_t until, const std::vector<std::vector<double>>& lrs, Team& team,
                   Stop& stop) {
  if (!prepared_) {
    if (!engine_->prepare(team, stop)) return false;
    prepared_ = true;
    record_due();
    gather();
  }
  for (std::size_t k = 0; round_ < until && running(); ++k) {
    if (stop.poll()) return false;
    for (Run* run : live_) {
      const auto& rates = lrs[static_cast<std::size_t>(run - runs_.data())];
      run->column.lr = rates[rates.size() == 1 ? 0 : k];
    }
    if (!engine_->round(static_cast<double>(round_), columns_, team, stop)) return false;
    ++round_;
    for (Run* run : live_) {
      if (run->column.finite)
        run->round = round_;
      else
        run->status = Status::diverged;
    }
    record_due();
    gather();
  }
  return true;
}

// Records the runs whose round is due, all at once.
void Batch::record_due() {
  std::vector<Run*> due;
  for (Run* run : live_)
    if (run->status == Status::running && run->recorder.due(run->round)) due.push_back(run);
  if (!due.empty()) record(due);
}

// The runs that go on: those at their end or without one are left behind.
void Batch::gather() {
  for (Run* run : live_)
    if (run->status == Status::running && run->round == run->rounds)
      run->status = Status::completed;
  const auto ended = std::remove_if(live_.begin(), live_.end(),
                                    [](const Run* run) { return run->status != Status::running; });
  if (ended == live_.end() && columns_.size() == live_.size()) return;
  live_.erase(ended, live_.end());
  columns_.clear();
  for (Run* run : live_) columns_.push_back(&run->column);
}

// Records runs that are at the same round; one whose loss is not finite has diverged.
void Batch::record(const std::vector<Run*>& runs) {
  const auto models = static_cast<Index>(runs.size());
  const Index samples = data_.samples();
  Matrix<double> coefficients(samples, models), margins(samples, models), change(samples, models),
      weights(data_.features(), models);
  LastRound last;
  last.shares = runs.front()->column.last.shares;
  last.local_changes.resize(samples, models);
  last.change = &change;
  std::vector<Recorder*> recorders;
  for (Index r = 0; r < models; ++r) {
    Run& run = *runs[static_cast<std::size_t>(r)];
    coefficients.col(r) = run.column.model.since(run.column.coefficients);
    margins.col(r) = run.column.margins.value;
    change.col(r) = run.column.coefficients.change;
    weights.col(r) = run.column.model.base();
    last.local_changes.col(r) = run.column.last.local_changes;
    recorders.push_back(&run.recorder);
  }
  weights += weighted_rows(data_.rows, coefficients);
  const std::int64_t round = runs.front()->round;
  const auto recorded =
      Recorder::record_runs(recorders, round, round * clients_,
                            recorders.front()->drifts(last, models), margins, weights);
  for (Index r = 0; r < models; ++r)
    if (!recorded[static_cast<std::size_t>(r)])
      runs[static_cast<std::size_t>(r)]->status = Status::diverged;
}

Matrix<double> Batch::weights(Index run) const {
  const Column& column = at(run).column;
  return column.model.weights(column.coefficients);
}

void Batch::record_now(Index run) {
  Run& own = runs_.at(static_cast<std::size_t>(run));
  const auto& rounds = own.recorder.history().round;
  if (rounds.empty() || rounds.back() != own.round) record({&own});
}

}  // namespace localgd
