// Ranks whose transport is an object of Python, called with the GIL.
#pragma once

#include <numeric>

#include "convert.hpp"
#include "core/ranks/ranks.hpp"

namespace localgd {

// The object's gather(own, counts, all), send(rank, numbers) and receive(rank, numbers), with
// arrays over the numbers themselves.
class PythonExchange final : public Exchange {
 public:
  PythonExchange(const py::object& exchange, int own)
      : own_(own),
        gather_(exchange.attr("gather")),
        send_(exchange.attr("send")),
        receive_(exchange.attr("receive")) {}
  ~PythonExchange() override {
    py::gil_scoped_acquire gil;
    gather_ = send_ = receive_ = py::none();
  }

  void gather(const double* own, const std::vector<Index>& counts, double* all) override {
    const Index sum = std::accumulate(counts.begin(), counts.end(), Index{0});
    py::gil_scoped_acquire gil;
    gather_(over(own, counts[static_cast<std::size_t>(own_)]), counts, over(all, sum));
  }
  void send(int to, const double* numbers, Index count) override {
    py::gil_scoped_acquire gil;
    send_(to, over(numbers, count));
  }
  void receive(int from, double* numbers, Index count) override {
    py::gil_scoped_acquire gil;
    receive_(from, over(numbers, count));
  }

 private:
  // Not a copy: the array has a base.
  static Array over(const double* numbers, Index count) {
    return Array(static_cast<py::ssize_t>(count), numbers, py::none());
  }

  const int own_;  // this rank
  py::object gather_, send_, receive_;
};

// Of an object that has `own`, the number of this rank, `holders`, the rank of each client, and
// `sizes`, its rows; None for one process alone.
inline std::shared_ptr<const Ranks> ranks_of(const py::object& object) {
  if (object.is_none()) return nullptr;
  const int own = object.attr("own").cast<int>();
  return std::make_shared<const Ranks>(
      std::make_shared<PythonExchange>(object.attr("exchange"), own), own,
      numbers<int>(object.attr("holders").cast<ArrayOf<int>>()),
      numbers<Index>(object.attr("sizes").cast<ArrayOf<Index>>()));
}

}  // namespace localgd
