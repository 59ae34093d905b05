// The rows of batches: which words they take, in which order, and how often each row comes.
#include "core/steps/batches.hpp"
#include "oracle.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

constexpr Philox::Key key{5, 11};

// Some rows, in batches of the given size, dealt in pieces of one to five batches.
std::vector<Index> deal(RowDealer& dealer, std::size_t count, Index size = 1) {
  std::vector<Index> all;
  for (std::int64_t batches = 1; all.size() < count; batches = batches % 5 + 1) {
    const auto left = static_cast<std::int64_t>(count - all.size()) / size;
    const std::int64_t some = std::min(batches, std::max<std::int64_t>(left, 1));
    std::vector<RowDealer::Row> rows(static_cast<std::size_t>(some * size));
    dealer.deal(some * size, rows.data());
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

std::vector<Index> sorted(std::vector<Index> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

}  // namespace

// python -c "import numpy; print(numpy.random.Philox(key=key, counter=counter).random_raw(4))"
TEST_CASE("words are those of NumPy's Philox") {
  using Block = Philox::Block;
  CHECK(Philox({0, 0})(0, 1, 0) ==
        Block{0x02f4ba6408e4d89b, 0x3dd62b0b9ca8c5b2, 0x1c8667a55d902e79, 0x907d7a052fd5b4dc});
  const Philox words({0x123456789abcdef0, 0xfedcba9876543210});
  const Block far{0x9e57c8d5c8767a7c, 0x8d2cc4cb14448f3e, 0xe63f919a417c6742, 0xbda16349cbc0ec24};
  CHECK(words(12345, 7, 0) == far);  // counter = 12345 * 7
  CHECK(words(12344, 7, 7) == far);
  // Counters of more than 64 bits: 2^73 - 1 and 2^64 - 1, of which the block is the next.
  CHECK(Philox({1, 2})(std::uint64_t{1} << 53, (std::uint64_t{1} << 20) - 1,
                       (std::uint64_t{1} << 53) - 1) ==
        Block{0xb667013b038e3498, 0xc297ab5a24fcf9c0, 0x0c22ea4c0f52821c, 0x195c7f2646bf6ad0});
  CHECK(Philox({1, 2})(1, ~std::uint64_t{0}, 0) ==
        Block{0x93baf02a9b6e1e64, 0xc291f37088c2bdef, 0xb1363d2ce37f4eae, 0xf20b54a1cecf0a14});
}

TEST_CASE("half words are taken in order, the low half first") {
  RowDealer dealer(1000, true, key, 16);  // two blocks a round
  dealer.begin_round(3);
  std::vector<Index> want;
  for (const std::uint64_t block : {0u, 1u})
    for (const std::uint64_t word : Philox(key)(3, 2, block))
      for (const std::uint64_t half : {word & 0xffffffffu, word >> 32})
        want.push_back(static_cast<Index>(half * 1000 >> 32));
  CHECK(deal(dealer, 16) == want);
}

TEST_CASE("every row comes once in an epoch, and epochs differ") {
  for (const Index rows : {1, 2, 3, 10, 57}) {
    CAPTURE(rows);
    const auto count = static_cast<std::size_t>(rows);
    RowDealer dealer(rows, false, key, 4 * count);
    dealer.begin_round(0);
    std::vector<Index> every(count), before;
    std::iota(every.begin(), every.end(), Index{0});
    for (int epoch = 0; epoch < 4; ++epoch) {
      const auto dealt = deal(dealer, count);
      CHECK(sorted(dealt) == every);
      if (rows >= 10) CHECK(dealt != before);
      before = dealt;
    }
  }
}

TEST_CASE("draws are those of a list that rows are taken from, however they are dealt") {
  for (const bool replacement : {false, true})
    for (const Index rows : {1, 2, 9, 31})
      for (const Index size : {1, 2, 3, 40}) {
        RowDealer dealer(rows, replacement, key, 120);
        dealer.begin_round(2);
        Draws draws(rows, replacement, key, 120, 2);
        for (const Index row : deal(dealer, 120, size)) REQUIRE(row == draws());
      }
}

TEST_CASE("so many steps are drawn ahead as take little memory") {
  CHECK(steps_ahead(0) == 128);
  CHECK(steps_ahead(1) == 128);
  CHECK(steps_ahead(8) == 32);
  CHECK(steps_ahead(256) == 1);
  CHECK(steps_ahead(1'000'000) == 1);
}

TEST_CASE("a round does not depend on the rounds before it") {
  for (const bool replacement : {false, true})
    for (const Index rows : {7, 31})
      for (const std::size_t before : {0u, 1u, 3u, 6u, 7u, 8u, 14u, 17u, 31u, 32u, 33u}) {
        CAPTURE(before);
        RowDealer fresh(rows, replacement, key, 33), used(rows, replacement, key, 33);
        used.begin_round(3);
        const auto others = before ? deal(used, before) : std::vector<Index>{};
        fresh.begin_round(4);
        used.begin_round(4);
        const auto dealt = deal(fresh, 33);
        CHECK(deal(used, 33) == dealt);
        if (before > 5)
          CHECK(std::vector<Index>(dealt.begin(),
                                   dealt.begin() + static_cast<std::ptrdiff_t>(before)) != others);
      }
}

TEST_CASE("rows come equally often") {
  // Frequencies over many words: within 5 standard deviations of even.
  constexpr Index rows = 6;
  constexpr int draws = 60'000;
  for (const bool replacement : {false, true}) {
    std::vector<int> first(rows), times(rows);
    RowDealer dealer(rows, replacement, key, draws);
    dealer.begin_round(0);
    int draw = 0;
    for (const Index dealt : deal(dealer, draws)) {
      const auto row = static_cast<std::size_t>(dealt);
      ++times[row];
      if (draw++ % rows == 0) ++first[row];
    }
    const auto even = [](int count, double total) {
      return std::abs(count - total / rows) < 5 * std::sqrt(total / rows);
    };
    for (std::size_t row = 0; row < rows; ++row) {
      CHECK(even(times[row], draws));
      CHECK(even(first[row], draws / rows));
    }
  }
}
