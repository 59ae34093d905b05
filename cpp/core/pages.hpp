// Memory of large arrays that are read again and again.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace localgd {

// Asks for large pages, as NumPy does for its arrays: streams of rows then miss the page tables less.
// To be called before the memory is first written. Refusal does no harm.
inline void prefer_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t small = 4096, large = 4 << 20;
  if (bytes < large) return;
  const auto begin = (reinterpret_cast<std::uintptr_t>(memory) + small - 1) / small * small;
  const auto end = (reinterpret_cast<std::uintptr_t>(memory) + bytes) / small * small;
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

}  // namespace localgd
