#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)
#include <malloc.h>

// Every test runs on memory that holds NaN until it is written, so that one who reads before does not get
// the zeros of a new page by luck. (Large blocks are pages of the system's, and zeros.)
static bool fill_new_memory() {
  return mallopt(M_PERTURB, 0x100) == 1;  // new bytes are ~0x100 = 0xff
}

TEST_CASE("new memory holds NaN") {
  double* volatile numbers = static_cast<double*>(std::malloc(1000 * sizeof(double)));
  CHECK(std::isnan(numbers[500]));
  std::free(numbers);
}
#else
static bool fill_new_memory() { return true; }
#endif

int main(int argc, char** argv) {
  if (!fill_new_memory()) return 1;
  return doctest::Context(argc, argv).run();
}
