// A network of two layers, f(x) = s V^T sigma(W^T x), and where its parameters are:
//   theta = (W, V), W d x h and V h x C, both row by row.
#pragma once

#include <stdexcept>
#include <string>

#include "../types.hpp"

namespace localgd {

struct Network {
  // Of an entry of a sparse row in a product with a panel, in entries of a dense one.
  static constexpr double sparse_cost = 4;

  Index hidden = 1;                  // h
  Index outputs = 1;                 // C
  std::string activation = "relu";   // see activations.hpp
  double scale = 1;                  // s
  bool centered = false;             // s (f - f_0), f_0 the network at the start
  bool first = true, second = true;  // which layers are trained
  std::string form = "auto";         // "span" | "weights": of local steps, see client.hpp

  template <class Show>
  void visit(Show&& show) {
    show("hidden", hidden), show("outputs", outputs), show("activation", activation);
    show("scale", scale), show("centered", centered), show("first", first);
    show("second", second), show("form", form);
  }

  Index parameters(Index features) const { return hidden * (features + outputs); }
  auto first_layer(const double* theta, Index features) const {
    return RowsView<double>(theta, features, hidden);
  }
  auto second_layer(const double* theta, Index features) const {
    return RowsView<double>(theta + features * hidden, hidden, outputs);
  }

  void check() const {
    if (hidden < 1 || outputs < 1) throw std::invalid_argument("network: want hidden units");
    if (!first && !second) throw std::invalid_argument("network: want a layer to train");
    if (form != "auto" && form != "span" && form != "weights")
      throw std::invalid_argument("network: want form auto, span or weights");
  }
};

}  // namespace localgd
