#pragma once

#include "convert.hpp"
#include "core/round/sampling.hpp"

namespace localgd {

using Words = py::array_t<std::uint64_t, py::array::c_style | py::array::forcecast>;

inline Indices uniform_samples(const Words& words, Index clients) {
  if (words.ndim() != 2 || words.shape(1) > clients)
    throw std::invalid_argument("words: want one for each client of a sample, a row each sample");
  Indices samples(std::vector<py::ssize_t>{words.shape(0), words.shape(1)});
  const auto count = static_cast<Index>(words.shape(1));
  Sampler sampler(clients, count);
  for (py::ssize_t k = 0; k < words.shape(0); ++k)
    sampler.sample(words.data() + k * count, samples.mutable_data() + k * count);
  return samples;
}

inline void bind_sampling(py::module_& m) {
  m.def("uniform_samples", &uniform_samples, py::arg("words"), py::arg("clients"),
        "Samples of clients without replacement, one row each, ascending, from a word for each.");
}

}  // namespace localgd
