#include "kernels_of.hpp"

namespace localgd {

template float PaddedGram<float>::add_product(const float*, Index, float, float*) const;
template struct Kernels<float>;

}  // namespace localgd
