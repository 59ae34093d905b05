#include "products.hpp"
#include "sparse_products.hpp"
#include "steps.hpp"

namespace localgd {

template struct NetworkKernels<float>;

}  // namespace localgd
