// How the processes of one run, its ranks, tell each other numbers. Who has a transport (MPI, say)
// implements it; the core knows none.
#pragma once

#include <vector>

#include "../types.hpp"

namespace localgd {

class Exchange {
 public:
  virtual ~Exchange() = default;

  // All ranks call it at the same place of the run: the numbers of all of them, those of rank 0
  // first. counts[r]: how many rank r gives; own: those of this one.
  virtual void gather(const double* own, const std::vector<Index>& counts, double* all) = 0;

  // Numbers for one other rank, which receives as many.
  virtual void send(int to, const double* numbers, Index count) = 0;
  virtual void receive(int from, double* numbers, Index count) = 0;
};

}  // namespace localgd
