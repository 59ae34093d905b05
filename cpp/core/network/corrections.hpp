// The corrections of a run's local steps (round/corrections/correction.hpp), of both layers:
//   q_i = (X_i^T gamma_i - sum_j v_j X_j^T gamma_j, gamma'_i - sum_j v_j gamma'_j)
// with gamma_i n_i x h and gamma'_i C x h; what round/corrections.hpp says of kappa holds here.
#pragma once

#include <memory>

#include "../round/round.hpp"
#include "sums.hpp"

namespace localgd {

template <class Real>
class NetworkCorrections {
 public:
  NetworkCorrections(const Data& data, const LocalRule& rule, Index columns, Index outputs)
      : data_(data), rule_(rule.correction), outputs_(outputs) {
    if (!any()) return;
    gamma_ = Layers(data, columns, outputs);
    if (kept()) next_ = Layers(data, columns, outputs);
    common_ = Common(data.features(), columns, outputs);
    last_common_ = Common(data.features(), columns, outputs);
    kappa_ = Vector<double>::Zero(data.clients());
  }

  bool any() const { return rule_ != nullptr; }
  bool pull() const { return any() && rule_->pulls(); }
  bool displace() const { return any() && !rule_->pulls(); }
  bool kept() const { return any() && rule_->kept(); }
  bool found() const { return any() && !rule_->kept(); }
  const Correction& rule() const { return *rule_; }

  UnitPanels<Real> first(Index client) const { return gamma_.first.from(data_.begin(client)); }
  UnitPanels<Real> second(Index client) const { return gamma_.second.from(client * outputs_); }
  UnitPanels<Real> next_first(Index client) const { return next_.first.from(data_.begin(client)); }
  UnitPanels<Real> next_second(Index client) const { return next_.second.from(client * outputs_); }
  // sum_j v_j X_j^T gamma_j, d x h, and of the second layer C x h
  UnitPanels<Real> common_first() const { return common_.first.all(); }
  UnitPanels<Real> common_second() const { return common_.second.all(); }
  // Of the last round.
  UnitPanels<Real> last_common_first() const { return last_common_.first.all(); }

  double kappa(Index client) const { return kappa_[client]; }
  double mean_kappa() const { return mean_kappa_; }

  // After the gamma_i of those that find them.
  void begin(const Round& round, RowSums<Real>& sums, Team& team) {
    round.participants().for_each([&](Index i) {
      kappa_[i] = pull() ? round.plan().lr * round.tau(i) : 1 - round.shrinkage(i);
    });
    mean_kappa_ = pull() ? round.sum_of_shares([&](Index i) { return kappa_[i]; })
                         : 0 - round.mean_shrinkage();
    if (found()) {
      const auto& shares = round.given_shares();
      sum_up(
          sums, team, [&](auto task) { round.participants().for_each(task); },
          [&](Index i) { return shares[i]; }, common_);
    } else if (age_(0) > static_cast<double>(data_.clients())) {
      sum_up(sums, team, all_clients(), [&](Index i) { return data_.weights[i]; }, common_);
      age_(0) = 0;
    }
  }

  // The round is taken. What they have in common changes by those who took part, and is summed up
  // anew where as many have as there are clients, so that rounding does not add up.
  void commit(const Round& round, RowSums<Real>& sums, Team& team) {
    if (!any()) return;
    last_common_.first.all().with(common_first(), data_.features(),
                                  [](Real& last, Real c) { last = c; });
    if (!kept()) return;
    const Participants& now = round.participants();
    age_(0) += static_cast<double>(now.count()) + (now.all() ? 1 : 0);
    const bool whole = age_(0) > static_cast<double>(data_.clients());
    const auto replace = [&](Real& gamma, Real next) { gamma = whole ? next : next - gamma; };
    const auto take = [](Real& gamma, Real next) { gamma = next; };
    const auto for_gammas = [&](auto task) {
      now.for_each([&](Index i) {
        first(i).with(next_first(i), data_.size(i), task);
        second(i).with(next_second(i), outputs_, task);
      });
    };
    for_gammas(replace);
    if (whole) return;
    if (!change_) change_ = std::make_unique<Common>(data_.features(), columns(), outputs_);
    sum_up(
        sums, team, [&](auto task) { now.for_each(task); },
        [&](Index i) { return data_.weights[i]; }, *change_);
    const auto add = [](Real& sum, Real change) { sum += change; };
    common_first().with(change_->first.all(), data_.features(), add);
    common_second().with(change_->second.all(), outputs_, add);
    for_gammas(take);
  }

  // Shows what a restored run needs: show(name, rows, panels), and a number.
  template <class ShowPanels, class ShowNumber>
  void visit(ShowPanels&& show, ShowNumber&& number) {
    if (!kept()) return;
    show("controls", data_.samples(), gamma_.first.all());
    show("controls of the second layer", data_.clients() * outputs_, gamma_.second.all());
    show("controls' sum", data_.features(), common_first());
    show("controls' sum of the second layer", outputs_, common_second());
    number("controls' age", age_);
  }

 private:
  struct Layers {
    Layers() = default;
    Layers(const Data& data, Index columns, Index outputs)
        : first(data.samples(), columns), second(data.clients() * outputs, columns) {}
    PanelArray<Real> first, second;
  };
  struct Common {
    Common() = default;
    Common(Index features, Index columns, Index outputs)
        : first(features, columns), second(outputs, columns) {}
    PanelArray<Real> first, second;
  };

  Index columns() const { return gamma_.first.all().columns; }
  auto all_clients() const {
    return [this](auto task) {
      for (Index i = 0; i < data_.clients(); ++i) task(i);
    };
  }
  template <class ForEach, class Factor>
  void sum_up(RowSums<Real>& sums, Team& team, ForEach&& for_each, Factor&& factor, Common& out) {
    sums.sum(team, for_each, factor, gamma_.first.all(), out.first.all());
    out.second.all().fill(outputs_, 0);
    for_each([&](Index i) {
      const Real f = static_cast<Real>(factor(i));
      out.second.all().with(second(i), outputs_, [f](Real& sum, Real own) { sum += f * own; });
    });
  }

  const Data& data_;
  std::shared_ptr<const Correction> rule_;
  Index outputs_;
  Layers gamma_, next_;
  Common common_, last_common_;
  std::unique_ptr<Common> change_;
  Vector<double> kappa_;
  double mean_kappa_ = 0;
  Matrix<double> age_ = Matrix<double>::Zero(1, 1);
};

}  // namespace localgd
