// Memory of large arrays that are read again and again.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

#include "types.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace localgd {

// Numbers that begin at a cache line, without values. Large arrays get whole large pages where the
// system has them: streams then miss the page tables less, and a cache keeps all of what fits,
// wherever it came to lie.
template <class Real>
class LargeArray {
 public:
  LargeArray() = default;
  static constexpr std::size_t page = 2 << 20;  // bytes

  // least: the bytes from which on pages are large. The last one is not filled.
  explicit LargeArray(Index size, std::size_t least = page / 4) : size_(size) {
    constexpr std::size_t line = 64;
    std::size_t bytes = static_cast<std::size_t>(size) * sizeof(Real);
    const bool large = bytes >= least;
    if (large) bytes = (bytes + page - 1) / page * page;
    const std::align_val_t alignment{large ? page : line};
    numbers_ = {static_cast<Real*>(::operator new(bytes, alignment)), Free{alignment}};
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (large) madvise(numbers_.get(), bytes, MADV_HUGEPAGE);  // refusal does no harm
#endif
  }

  Index size() const { return size_; }
  Real* data() { return numbers_.get(); }
  const Real* data() const { return numbers_.get(); }

 private:
  struct Free {
    std::align_val_t alignment{};
    void operator()(Real* numbers) const { ::operator delete(numbers, alignment); }
  };
  Index size_ = 0;
  std::unique_ptr<Real[], Free> numbers_;
};

}  // namespace localgd
