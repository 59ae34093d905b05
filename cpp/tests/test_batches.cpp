// The rows of batches: which words they take, in which order, and how often each row comes.
#include "core/local/batches.hpp"

#include "oracle.hpp"

using namespace localgd;
using namespace localgd::testing;

namespace {

std::vector<std::uint64_t> random_words(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<std::uint64_t> words(count);
  for (auto& word : words) word = random.word();
  return words;
}

std::vector<Index> deal(RowDealer& dealer, std::size_t count) {
  std::vector<Index> rows(count);
  for (Index& row : rows) row = dealer.next();
  return rows;
}

std::vector<Index> sorted(std::vector<Index> rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

constexpr std::uint64_t lowest = 0, highest = ~std::uint64_t{0};

}  // namespace

TEST_CASE("half words are taken in order, the low half first") {
  const std::vector<std::uint64_t> words{0x4000'0000'0000'0000u, 0x8000'0000'ffff'ffffu};
  RowDealer dealer(8, true);
  dealer.begin_round(words.data());
  CHECK(deal(dealer, 4) == std::vector<Index>{0, 2, 7, 4});  // floor(8 u / 2^32)
}

TEST_CASE("without replacement the rows of an epoch are those of Fisher and Yates") {
  const std::vector<std::uint64_t> all{lowest, lowest, lowest}, last{highest, highest, highest};
  RowDealer dealer(5, false);
  dealer.begin_round(all.data());
  CHECK(deal(dealer, 5) == std::vector<Index>{0, 1, 2, 3, 4});
  dealer.begin_round(last.data());  // always the last of those that are left
  CHECK(deal(dealer, 5) == std::vector<Index>{4, 0, 1, 2, 3});
}

TEST_CASE("every row comes once in an epoch, and epochs differ") {
  for (const Index rows : {1, 2, 3, 10, 57}) {
    CAPTURE(rows);
    const auto count = static_cast<std::size_t>(rows);
    const auto words = random_words(2 * count, 5);
    RowDealer dealer(rows, false);
    dealer.begin_round(words.data());
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

TEST_CASE("draws are those of a list that rows are taken from") {
  for (const bool replacement : {false, true})
    for (const Index rows : {1, 2, 9, 31}) {
      const auto words = random_words(60, 11);
      RowDealer dealer(rows, replacement);
      dealer.begin_round(words.data());
      Draws draws(rows, replacement, words.data());
      for (int draw = 0; draw < 120; ++draw) REQUIRE(dealer.next() == draws());
    }
}

TEST_CASE("a round does not depend on the rounds before it") {
  const auto words = random_words(20, 3), other = random_words(20, 4);
  for (const bool replacement : {false, true}) {
    RowDealer fresh(7, replacement), used(7, replacement);
    used.begin_round(other.data());
    deal(used, 17);
    fresh.begin_round(words.data());
    used.begin_round(words.data());
    CHECK(deal(fresh, 33) == deal(used, 33));
  }
}

TEST_CASE("rows come equally often") {
  // Frequencies over many words: within 5 standard deviations of even.
  constexpr Index rows = 6;
  constexpr int draws = 60'000;
  const auto words = random_words(draws / 2, 9);
  for (const bool replacement : {false, true}) {
    std::vector<int> first(rows), times(rows);
    RowDealer dealer(rows, replacement);
    dealer.begin_round(words.data());
    for (int draw = 0; draw < draws; ++draw) {
      const auto row = static_cast<std::size_t>(dealer.next());
      ++times[row];
      if (draw % rows == 0) ++first[row];
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
