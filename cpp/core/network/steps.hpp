// Local steps of a network on one client: client.hpp says what they are.
#pragma once

#include "../steps/row_weights.hpp"
#include "activations.hpp"
#include "kernels.hpp"
#include "masked.hpp"

namespace localgd {

// H = sigma(P + P') of a panel; P' has the rows of the step if `gathered`, or all. Null: it is 0.
template <class Activation, class Real>
void activate(const StepRows& rows, Index width, const Real* start, const Real* moved,
              bool gathered, Real* values) {
  for (Index t = 0; t < rows.count; ++t) {
    const Real* p = start + rows.of(t) * width;
    const Real* change = moved ? moved + (gathered ? t : rows.of(t)) * width : nullptr;
    for (Index j = 0; j < width; j += lanes<Real>) {
      const Register<Real> at = change ? load(p + j) + load(change + j) : load(p + j);
      store(values + t * width + j, Activation::value(at));
    }
  }
}

// G <- G o sigma'(P + P'), and S += G.
template <class Activation, class Real>
void to_gradient(const StepRows& rows, Index width, const Real* start, const Real* moved,
                 bool gathered, const Real* values, Real* gradient, Real* sums) {
  for (Index t = 0; t < rows.count; ++t) {
    const Index row = rows.of(t) * width;
    const Real* change = moved ? moved + (gathered ? t * width : row) : nullptr;
    for (Index j = 0; j < width; j += lanes<Real>) {
      const Index at = t * width + j;
      const Register<Real> p =
          change ? load(start + row + j) + load(change + j) : load(start + row + j);
      const Register<Real> g = Activation::times_slope(load(gradient + at), load(values + at), p);
      store(gradient + at, g);
      store(sums + row + j, load(sums + row + j) + g);
    }
  }
}

// u += H V of a panel, V^T row by row.
template <class Real>
LOCALGD_ONE_COPY void add_outputs(Index rows, Index outputs, Index width, const Real* values,
                                  const Real* second, Real* u) {
  for (Index c = 0; c < outputs; ++c, second += width)
    in_pieces<8, 1>(rows, [&](Index t, auto size) LOCALGD_LAMBDA_IN_PLACE {
      Register<Real> sums[size.value] = {};
      for (Index j = 0; j < width; j += lanes<Real>) {
        const Register<Real> v = load(second + j);
        unrolled<size.value>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
          sums[r] = multiply_add(v, load(values + (t + r) * width + j), sums[r]);
        });
      }
      if constexpr (size.value == 1)
        u[c * rows + t] += sum_of_lanes<Real>(sums[0]);
      else
        add_sums_of_lanes(sums, u + c * rows + t);
    });
}

// e of the rows of a step, from u without s and u_0.
template <class Real>
LOCALGD_ONE_COPY void derivatives_of_rows(const NetworkClient<Real>& c, const StepRows& rows,
                                          Targets<Real> targets,
                                          DerivativesOfRows<Real> derivatives, Real* u, Real* e) {
  const Index b = rows.count;
  for (Index k = 0; k < c.outputs; ++k)
    for (Index t = 0; t < b; ++t) {
      Real& value = u[k * b + t];
      value *= c.scale;
      if (c.offsets) value += c.offsets[k * c.n + rows.of(t)];
      if (c.signed_rows) value *= targets[t];
    }
  derivatives(u, targets, b, c.outputs, e);
  if (c.signed_rows)
    for (Index t = 0; t < b; ++t) e[t] *= targets[t];
  if (c.row_weights && rows.drawn)
    weigh_drawn(c.row_weights, rows.drawn, b, c.outputs, b, e);
  else if (c.row_weights)
    weigh_rows(c.row_weights, b, c.outputs, b, e);
}

template <class Real>
void gather_rows(const StepRows& rows, const Real* from, Index stride, Index count, Real* to) {
  for (Index t = 0; t < rows.count; ++t, to += count)
    std::copy_n(from + rows.of(t) * stride, count, to);
}

// H of all panels, then e; moved: P', see activate().
template <class Activation, class Real>
void forward(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch, const StepRows& rows,
             const UnitPanels<Real>& moved, bool gathered, Targets<Real> targets,
             DerivativesOfRows<Real> derivatives) {
  const UnitPanels<Real> values{scratch.activations.data(), rows.count, c.start.columns},
      second{scratch.second.data(), c.outputs, c.start.columns};
  scratch.u.head(rows.count * c.outputs).setZero();
  for (Index p = 0; p < values.count(); ++p) {
    activate<Activation>(rows, values.width(p), c.start[p], moved ? moved[p] : nullptr, gathered,
                         values[p]);
    add_outputs(rows.count, c.outputs, values.width(p), values[p], second[p], scratch.u.data());
  }
  derivatives_of_rows(c, rows, targets, derivatives, scratch.u.data(), scratch.e.data());
}

// V^T = V^T_0 + V'^T
template <class Real>
void set_second(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch) {
  const UnitPanels<Real> second{scratch.second.data(), c.outputs, c.start.columns};
  for (Index p = 0; p < second.count(); ++p)
    for (Index j = 0; j < c.outputs * second.width(p); ++j)
      second[p][j] = c.second_start[p][j] + c.second_moved[p][j];
}

// sigma(0) need not be 0.
template <class Real>
void clear_padding(const NetworkClient<Real>& c, Index panel, Index width, Real* second) {
  for (Index j = c.hidden - panel * panel_width<Real>; j < width; ++j)
    for (Index k = 0; k < c.outputs; ++k) second[k * width + j] = 0;
}

// P' <- keep P' + step A G + shift, or the same of W', of a panel.
template <class Real>
struct FirstLayerStep {
  Index rows;        // of P' or W'
  const Real* left;  // by columns
  Index stride;
};
template <class Real>
FirstLayerStep<Real> first_layer_step(const NetworkClient<Real>& c,
                                      const NetworkScratch<Real>& scratch, const StepRows& rows) {
  const bool span = c.gram != nullptr;
  const Index size = span ? c.n : c.features;
  if (rows.drawn) return {size, scratch.gathered_rows.data(), size};
  return {size, span ? c.gram : c.rows, span ? c.gram_stride : c.features};
}

// Whether G is that of masked.hpp.
template <class Activation, class Real>
inline constexpr bool maskable = mask_bits<Real> > 0 && std::is_same_v<Activation, Relu>;

// S and P' or W' of a panel by e, of a network with one output whose G is masked.
template <class Real>
void masked_step(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch, const StepRows& rows,
                 Index p, const Real* values, const Real* second, bool last) {
  const Index width = c.sums.width(p);
  Real scaled[panel_width<Real>];
  for (Index j = 0; j < width; ++j) scaled[j] = c.scale * second[j];
  auto* choices = reinterpret_cast<Choices<Real>*>(scratch.choices.data());
  choose(rows, width, values, scratch.e.data(), scaled, choices, c.sums[p]);
  if (last) return;
  for (Index j = 0; j < width; ++j) scaled[j] *= c.step;
  const auto [size, left, stride] = first_layer_step(c, scratch, rows);
  multiply_masked<Real>({size, rows.count, width, left, stride, scratch.spread_e.data(), choices,
                         scaled, c.keep, c.shift ? c.shift[p] : nullptr, c.moved[p]});
}

// A step by e. last: nobody asks for what comes after it but for the sums.
template <class Activation, class Real>
void backward(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch, const StepRows& rows,
              const UnitPanels<Real>& moved, bool gathered, bool last) {
  using Kernels = NetworkKernels<Real>;
  const Index b = rows.count;
  const UnitPanels<Real> values{scratch.activations.data(), b, c.start.columns},
      second{scratch.second.data(), c.outputs, c.start.columns};
  Real* gradient = scratch.gradient.data();
  const bool masked = maskable<Activation, Real> && c.outputs == 1;
  if constexpr (maskable<Activation, Real>)
    if (masked && c.first && !last) spread(scratch.e.data(), b, scratch.spread_e.data());
  for (Index p = 0; p < values.count(); ++p) {
    const Index width = values.width(p);
    if (c.first && c.keep != Real(1))
      for (Index j = 0; j < c.n * width; ++j) c.sums[p][j] *= c.keep;
    if (c.first && !masked) {
      Kernels::multiply(Stored::by_columns, {b, c.outputs, width, scratch.e.data(), b, second[p],
                                             c.scale, 0, nullptr, gradient});
      to_gradient<Activation>(rows, width, c.start[p], moved ? moved[p] : nullptr, gathered,
                              values[p], gradient, c.sums[p]);
    }
    if (c.second) {
      Kernels::multiply(Stored::by_rows,
                        {c.outputs, b, width, scratch.e.data(), b, values[p], c.step * c.scale,
                         c.keep, c.second_shift ? c.second_shift[p] : nullptr, c.second_moved[p]});
      clear_padding(c, p, width, c.second_moved[p]);
    }
    if constexpr (maskable<Activation, Real>)
      if (masked && c.first) masked_step(c, scratch, rows, p, values[p], second[p], last);
    if (masked || !c.first || last) continue;
    const auto [size, left, stride] = first_layer_step(c, scratch, rows);
    Kernels::multiply(Stored::by_columns, {size, b, width, left, stride, gradient, c.step, c.keep,
                                           c.shift ? c.shift[p] : nullptr, c.moved[p]});
  }
}

// fresh: the first of a round, where nothing has moved. last: of the round.
template <class Activation, class Real>
void network_steps(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch,
                   DerivativesOfRows<Real> derivatives, RowDealer* dealer, Index batch,
                   std::int64_t count, bool fresh, bool last) {
  const bool span = c.gram != nullptr;
  for (std::int64_t l = 0; l < count; ++l, fresh = false) {
    const bool end = last && l + 1 == count;
    StepRows rows{c.n, nullptr};
    Targets<Real> targets = c.targets;
    if (dealer) {
      const std::int64_t dealt = l % scratch.ahead;
      if (dealt == 0)
        dealer->deal(std::min(scratch.ahead, count - l) * batch, scratch.drawn.data());
      rows = {batch, scratch.drawn.data() + dealt * batch};
      for (Index k = 0; k < c.outputs; ++k)
        for (Index t = 0; t < batch; ++t)
          scratch.targets[k * batch + t] = c.targets.column(k)[rows.of(t)];
      targets = {scratch.targets.data(), batch};
      if (c.first && !(fresh && end))
        gather_rows(rows, span ? c.gram : c.rows, span ? c.gram_stride : c.features,
                    span ? c.n : c.features, scratch.gathered_rows.data());
    }
    UnitPanels<Real> moved = c.moved;
    if (fresh || !c.first) {
      moved.data = nullptr;
    } else if (!span) {
      moved = {scratch.pre_activations.data(), rows.count, c.start.columns};
      for (Index p = 0; p < moved.count(); ++p)
        NetworkKernels<Real>::multiply(
            Stored::by_rows,
            {rows.count, c.features, moved.width(p), dealer ? scratch.gathered_rows.data() : c.rows,
             c.features, c.moved[p], 1, 0, nullptr, moved[p]});
    }
    set_second(c, scratch);
    forward<Activation>(c, scratch, rows, moved, !span, targets, derivatives);
    backward<Activation>(c, scratch, rows, moved, !span, end);
  }
}

// H and e of all rows where the steps begin.
template <class Activation, class Real>
void network_derivatives(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch,
                         DerivativesOfRows<Real> derivatives) {
  set_second(c, scratch);
  forward<Activation>(c, scratch, {c.n, nullptr}, {nullptr, 0, c.start.columns}, false, c.targets,
                      derivatives);
}

// From those: first = (s e V^T) o sigma'(P), n x h, and second = s e^T H, C x h.
template <class Activation, class Real>
void network_gradient(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch,
                      UnitPanels<Real> first, UnitPanels<Real> second) {
  first.fill(c.n, 0);
  second.fill(c.outputs, 0);
  NetworkClient<Real> once = c;
  once.step = once.keep = 1;
  once.shift.data = once.second_shift.data = nullptr;
  once.sums = first;
  once.second_moved = second;
  backward<Activation>(once, scratch, {c.n, nullptr}, {nullptr, 0, c.start.columns}, false, true);
}

template <class Real>
NetworkKernels<Real> NetworkKernels<Real>::of(std::string_view activation) {
  return with_activation(activation, []<class Activation>(Activation) {
    return NetworkKernels{&network_steps<Activation, Real>, &network_derivatives<Activation, Real>,
                          &network_gradient<Activation, Real>};
  });
}

}  // namespace localgd
