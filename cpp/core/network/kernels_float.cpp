#include "products.hpp"
#include "steps.hpp"

namespace localgd {

template struct NetworkKernels<float>;

}  // namespace localgd
