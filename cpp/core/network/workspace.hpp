// What a thread needs for any client of a network.
#pragma once

#include "client.hpp"
#include "forms.hpp"

namespace localgd {

template <class Real>
struct NetworkWorkspace {
  // leader: it has room for steps that all threads share.
  NetworkWorkspace(const Data& data, const Round& round, const NetworkForms& forms, Index columns,
                   Index outputs, bool leader)
      : NetworkWorkspace(Largest(data, round, forms), forms.shifts(), columns, outputs, leader) {}

  NetworkScratch<Real> scratch;
  PanelArray<Real> moved, shift, second_shift, second_start;
  Vector<double> numbers, further;

 private:
  struct Largest {
    Largest(const Data& data, const Round& round, const NetworkForms& forms) {
      for (Index i = 0; i < data.clients(); ++i) {
        const Index moves = forms.moved_rows(i);
        rows = std::max(rows, data.size(i));
        step = std::max(step, round.rows_of_step(i));
        batch = std::max(batch, round.batch(i));
        moved = std::max(moved, moves);
        if (forms.wants_gram(i) || !data.sparse()) gathered = std::max(gathered, moves);
        large = large || forms.large(i);
      }
    }

    Index rows = 0, step = 0, moved = 0, gathered = 0, batch = 0;
    bool large = false;  // a client whose steps may be shared
  };

  NetworkWorkspace(const Largest& most, bool shifts, Index columns, Index outputs, bool leader)
      : scratch(std::max(most.rows, most.step), most.batch, most.gathered, columns, outputs,
                leader && most.large),
        moved(most.moved, columns),
        shift(shifts ? most.moved : 0, columns),
        second_shift(outputs, columns),
        second_start(outputs, columns),
        numbers(std::max(most.rows, panel_width<Real>)),
        further(numbers) {}
};

}  // namespace localgd
