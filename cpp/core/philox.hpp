// Philox4x64-10 (Salmon et al., doi:10.1145/2063384.2063405): random words that are a function of a
// key and a counter, so that every client draws its own on whichever thread has it. Words and
// counters are those of numpy.random.Philox(key=key, counter=counter).
#pragma once

#include <array>
#include <cstdint>

namespace localgd {

// All 128 bits of a product.
struct WideProduct {
  std::uint64_t low, high;
};

inline WideProduct wide_product(std::uint64_t a, std::uint64_t b) {
#if defined(__SIZEOF_INT128__)
  __extension__ using Both = unsigned __int128;
  const Both both = static_cast<Both>(a) * b;
  return {static_cast<std::uint64_t>(both), static_cast<std::uint64_t>(both >> 64)};
#else
  const std::uint64_t half = 0xffffffffu;
  const std::uint64_t low = (a & half) * (b & half), first = (a >> 32) * (b & half) + (low >> 32),
                      second = (a & half) * (b >> 32) + (first & half);
  return {second << 32 | (low & half), (a >> 32) * (b >> 32) + (first >> 32) + (second >> 32)};
#endif
}

class Philox {
 public:
  using Key = std::array<std::uint64_t, 2>;
  using Block = std::array<std::uint64_t, 4>;

  explicit Philox(Key key) : key_(key) {}

  // The block-th four words from counter first * blocks on.
  Block operator()(std::uint64_t first, std::uint64_t blocks, std::uint64_t block) const {
    // NumPy counts up before it draws. The sum may carry: first is a round, of any number of
    // blocks.
    auto [low, high] = wide_product(first, blocks);
    const std::uint64_t counter = low + block + 1;
    high += counter < low;
    return rounds({counter, high, 0, 0});
  }

 private:
  Block rounds(Block at) const {
    Key key = key_;
    for (int round = 0; round < 10; ++round) {
      const WideProduct a = wide_product(0xd2e7470ee14c6c93u, at[0]),
                        b = wide_product(0xca5a826395121157u, at[2]);
      at = {b.high ^ at[1] ^ key[0], b.low, a.high ^ at[3] ^ key[1], a.low};
      key[0] += 0x9e3779b97f4a7c15u;
      key[1] += 0xbb67ae8584caa73bu;
    }
    return at;
  }

  Key key_;
};

}  // namespace localgd
