// Uniform samples of clients, without replacement.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "../philox.hpp"
#include "../types.hpp"

namespace localgd {

// Samples of `count` out of `clients`, each from as many words: Floyd's algorithm (Bentley and
// Floyd, doi:10.1145/30401.315746). Word u_t gives floor(u_t (r + 1) / 2^64), r = clients - count +
// t, or r itself if that is in the sample already. So it takes time like the sample, not like all.
class Sampler {
 public:
  Sampler(Index clients, Index count)
      : clients_(clients), count_(count), taken_(static_cast<std::size_t>(clients), false) {}

  // The sample of some words, ascending.
  void sample(const std::uint64_t* words, Index* chosen) {
    for (Index t = 0; t < count_; ++t) {
      const Index last = clients_ - count_ + t;
      Index one = place(words[t], last + 1);
      if (taken(one)) one = last;
      taken(one) = true;
      chosen[t] = one;
    }
    for (Index t = 0; t < count_; ++t) taken(chosen[t]) = false;
    std::sort(chosen, chosen + count_);
  }

 private:
  // floor(word count / 2^64)
  static Index place(std::uint64_t word, Index count) {
    return static_cast<Index>(wide_product(word, static_cast<std::uint64_t>(count)).high);
  }
  std::vector<bool>::reference taken(Index client) {
    return taken_[static_cast<std::size_t>(client)];
  }

  Index clients_, count_;
  std::vector<bool> taken_;
};

}  // namespace localgd
