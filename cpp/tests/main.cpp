#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace {

// Every test runs on memory that holds NaN until it is written, so that one who reads before does
// not get the zeros of a new page by luck. (Large blocks are pages of the system's, and zeros.)
// False where memory is not glibc's: the address sanitizer has its own, and fills it.
bool fill_new_memory() {
#if defined(__GLIBC__)
  return mallopt(M_PERTURB, 0x100) == 1;  // new bytes are ~0x100 = 0xff
#else
  return false;
#endif
}

bool filled = false;

}  // namespace

TEST_CASE("new memory holds NaN") {
  if (!filled) return;
  double* volatile numbers = static_cast<double*>(std::malloc(1000 * sizeof(double)));
  CHECK(std::isnan(numbers[500]));
  std::free(numbers);
}

int main(int argc, char** argv) {
  filled = fill_new_memory();
  return doctest::Context(argc, argv).run();
}
