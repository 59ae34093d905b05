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

// u += H V of some rows of a panel, V^T row by row; u in columns `stride` apart.
template <class Real>
LOCALGD_ONE_COPY void add_outputs(Index rows, Index outputs, Index width, const Real* values,
                                  const Real* second, Real* u, Index stride) {
  for (Index c = 0; c < outputs; ++c, second += width, u += stride)
    in_pieces<8, 1>(rows, [&](Index t, auto size) LOCALGD_LAMBDA_IN_PLACE {
      Register<Real> sums[size.value] = {};
      for (Index j = 0; j < width; j += lanes<Real>) {
        const Register<Real> v = load(second + j);
        unrolled<size.value>([&](auto r) LOCALGD_LAMBDA_IN_PLACE {
          sums[r] = multiply_add(v, load(values + (t + r) * width + j), sums[r]);
        });
      }
      if constexpr (size.value == 1)
        u[t] += sum_of_lanes<Real>(sums[0]);
      else
        add_sums_of_lanes(sums, u + t);
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

// What the parts of a step have in common.
template <class Real>
struct NetworkStep {
  const NetworkClient<Real>& c;
  NetworkScratch<Real>& scratch;
  StepRows rows;
  Targets<Real> targets;
  DerivativesOfRows<Real> derivatives;
  UnitPanels<Real> moved;  // P' of the rows of the step if `gathered`, or of all; or null
  bool gathered;
  Range moving;  // the rows of P' or W' that it moves: those that somebody asks for

  Range all() const { return {0, rows.count}; }
  // Where that may be, whether G is that of masked.hpp.
  bool masked() const { return c.outputs == 1 && c.gathers(); }
  UnitPanels<Real> values() const {
    return {scratch.activations.data(), rows.count, c.start.columns};
  }
  UnitPanels<Real> second() const {  // V^T before the step
    return {scratch.second.data(), c.outputs, c.start.columns};
  }
  UnitPanels<Real> bias() const { return {scratch.bias.data(), 1, c.start.columns}; }
  const Real* moved_of(Index panel, Range part) const {
    if (!moved) return nullptr;
    return moved[panel] + (gathered ? part.first * moved.width(panel) : 0);
  }
  // Where G of a panel is, and what a masked one is made of.
  Real* gradient(Index panel) const {
    return scratch.gradient.data() + (c.team ? panel * panel_width<Real> * rows.count : 0);
  }
  Choices<Real>* choices(Index panel, Index row) const {
    constexpr Index bits = std::max(mask_bits<Real>, 1);
    const Index groups = c.team ? (rows.count + bits - 1) / bits : 0;
    return reinterpret_cast<Choices<Real>*>(scratch.choices.data()) +
           panel * groups * panel_registers<Real> +
           row / bits * (c.sums.width(panel) / lanes<Real>);
  }
};

// H of all panels and u of some rows.
template <class Activation, class Real>
void forward(const NetworkStep<Real>& step, Range part) {
  const NetworkClient<Real>& c = step.c;
  const StepRows rows = step.rows.part(part);
  const UnitPanels<Real> values = step.values(), second = step.second();
  const Index b = step.rows.count;
  Real* u = step.scratch.u.data() + part.first;
  for (Index k = 0; k < c.outputs; ++k) std::fill_n(u + k * b, part.count, Real(0));
  for (Index p = 0; p < values.count(); ++p) {
    const Index width = values.width(p);
    Real* own = values[p] + part.first * width;
    activate<Activation>(rows, width, c.start[p], step.moved_of(p, part), step.gathered, own);
    add_outputs(part.count, c.outputs, width, own, second[p], u, b);
  }
}

template <class Real>
void find_derivatives(const NetworkStep<Real>& step) {
  derivatives_of_rows(step.c, step.rows, step.targets, step.derivatives, step.scratch.u.data(),
                      step.scratch.e.data());
}

// V^T = V^T_0 + V'^T
template <class Real>
void set_second(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch) {
  const UnitPanels<Real> second{scratch.second.data(), c.outputs, c.start.columns};
  for (Index p = 0; p < second.count(); ++p)
    for (Index j = 0; j < c.outputs * second.width(p); ++j)
      second[p][j] = c.second_start[p][j] + c.second_moved[p][j];
}

// b' before the step, which all rows read while it moves.
template <class Real>
void set_bias(const NetworkStep<Real>& step) {
  const UnitPanels<Real> bias = step.bias(), now = step.c.moved.from(step.c.moved.rows - 1);
  for (Index p = 0; p < bias.count(); ++p) std::copy_n(now[p], bias.width(p), bias[p]);
}

// sigma(0) need not be 0.
template <class Real>
void clear_padding(const NetworkClient<Real>& c, Index panel, Index width, Real* second) {
  for (Index j = c.hidden - panel * panel_width<Real>; j < width; ++j)
    for (Index k = 0; k < c.outputs; ++k) second[k * width + j] = 0;
}

// Whether G may be that of masked.hpp.
template <class Activation, class Real>
inline constexpr bool maskable = mask_bits<Real> > 0 && std::is_same_v<Activation, Relu>;

// S <- keep S of a panel, rows of the client.
template <class Real>
void shrink_sums(const NetworkClient<Real>& c, Index p, Range part) {
  const Index width = c.sums.width(p);
  if (c.keep == Real(1)) return;
  for (Index j = part.first * width; j < (part.first + part.count) * width; ++j)
    c.sums[p][j] *= c.keep;
}

// G of a panel by e, and S += G, of some rows.
template <class Activation, class Real>
void take_gradient(const NetworkStep<Real>& step, Index p, Range part) {
  const NetworkClient<Real>& c = step.c;
  const NetworkScratch<Real>& scratch = step.scratch;
  const Index width = c.sums.width(p), b = step.rows.count;
  const StepRows rows = step.rows.part(part);
  const Real *values = step.values()[p] + part.first * width, *second = step.second()[p],
             *e = scratch.e.data() + part.first;
  if constexpr (maskable<Activation, Real>)
    if (step.masked()) {
      Real scaled[panel_width<Real>];
      for (Index j = 0; j < width; ++j) scaled[j] = c.scale * second[j];
      return choose(rows, width, values, e, scaled, step.choices(p, part.first), c.sums[p]);
    }
  Real* gradient = step.gradient(p) + part.first * width;
  NetworkKernels<Real>::multiply(Stored::by_columns, {part.count, c.outputs, width, e, b, second,
                                                      c.scale, 0, nullptr, gradient});
  to_gradient<Activation>(rows, width, c.start[p], step.moved_of(p, part), step.gathered, values,
                          gradient, c.sums[p]);
}

// A step of V by a panel of H.
template <class Real>
void step_second(const NetworkStep<Real>& step, Index p) {
  const NetworkClient<Real>& c = step.c;
  const NetworkScratch<Real>& scratch = step.scratch;
  const Index width = c.sums.width(p), b = step.rows.count;
  NetworkKernels<Real>::multiply(
      Stored::by_rows,
      {c.outputs, b, width, scratch.e.data(), b, step.values()[p], c.step * c.scale, c.keep,
       c.second_shift ? c.second_shift[p] : nullptr, c.second_moved[p]});
  clear_padding(c, p, width, c.second_moved[p]);
}

// What lambda has taken of a bias that it leaves alone, in some rows of P' or W'.
template <class Real>
void give_back_bias(const NetworkStep<Real>& step, Index p, Range part) {
  const NetworkClient<Real>& c = step.c;
  const Index width = c.moved.width(p), last = c.moved.rows - 1;
  const Real one = 1;  // the last feature of e_d
  const Range rows = c.gram ? part : Range{last, 1};
  if (part.first + part.count <= rows.first) return;
  NetworkKernels<Real>::multiply(
      Stored::by_columns,
      {rows.count, 1, width, c.gram ? c.gram + last * c.gram_stride + rows.first : &one, 1,
       step.bias()[p], c.l2_step, 1, nullptr, c.moved[p] + rows.first * width});
}

// P' <- keep P' + step A G + shift, or the same of W', of some rows of a panel.
template <class Activation, class Real>
void add_gradient(const NetworkStep<Real>& step, Index p, Range part) {
  const NetworkClient<Real>& c = step.c;
  const NetworkScratch<Real>& scratch = step.scratch;
  const bool span = c.gram != nullptr;
  const Index width = c.sums.width(p), b = step.rows.count;
  const Real* shift = c.shift ? c.shift[p] + part.first * width : nullptr;
  Real* moved = c.moved[p] + part.first * width;
  if (!c.gathers())
    return NetworkKernels<Real>::transposed_times(
        c.rows, step.rows, {width, step.gradient(p), c.step, c.keep, shift, moved});
  // by columns
  const Real* left = step.rows.drawn ? scratch.gathered_rows.data() : span ? c.gram : c.rows.dense;
  const Index stride = step.rows.drawn ? c.moved.rows : span ? c.gram_stride : c.features;
  if constexpr (maskable<Activation, Real>)
    if (step.masked()) {
      Real scaled[panel_width<Real>];
      for (Index j = 0; j < width; ++j) scaled[j] = c.step * (c.scale * step.second()[p][j]);
      return multiply_masked<Real>({part.count, b, width, left + part.first, stride,
                                    scratch.spread_e.data(), step.choices(p, 0), scaled, c.keep,
                                    shift, moved});
    }
  NetworkKernels<Real>::multiply(Stored::by_columns,
                                 {part.count, b, width, left + part.first, stride, step.gradient(p),
                                  c.step, c.keep, shift, moved});
}

template <class Activation, class Real>
void step_first(const NetworkStep<Real>& step, Index p, Range part) {
  add_gradient<Activation>(step, p, part);
  if (step.c.free_bias) give_back_bias(step, p, part);
}

// What a masked product reads of e.
template <class Activation, class Real>
void prepare_masks(const NetworkStep<Real>& step) {
  if constexpr (maskable<Activation, Real>)
    if (step.masked() && step.moving.count > 0)
      spread(step.scratch.e.data(), step.rows.count, step.scratch.spread_e.data());
}

// A step by e.
template <class Activation, class Real>
void backward(const NetworkStep<Real>& step) {
  const NetworkClient<Real>& c = step.c;
  prepare_masks<Activation>(step);
  for (Index p = 0; p < c.sums.count(); ++p) {
    if (c.first) {
      shrink_sums(c, p, {0, c.n});
      take_gradient<Activation>(step, p, step.all());
    }
    if (c.second) step_second(step, p);
    if (step.moving.count > 0) step_first<Activation>(step, p, step.moving);
  }
}

// X_B W' of some rows of a step in the weights.
template <class Real>
void pre_activate(const NetworkStep<Real>& step, Range part) {
  const NetworkClient<Real>& c = step.c;
  const bool gathered = step.rows.drawn && c.gathers();
  const NetworkRows<Real> rows =
      gathered ? NetworkRows<Real>{c.features, step.scratch.gathered_rows.data()} : c.rows;
  const StepRows taken =
      gathered ? StepRows{part.count, nullptr, part.first} : step.rows.part(part);
  for (Index p = 0; p < step.moved.count(); ++p) {
    const Index width = step.moved.width(p);
    NetworkKernels<Real>::rows_times(
        rows, taken, {width, c.moved[p], 1, 0, nullptr, step.moved[p] + part.first * width});
  }
}

// The same step by all threads, to the same bits: what is of a row depends on no other, but for who
// is in its tile, its registers and its group of masked.hpp, which parts do not cut.
template <class Activation, class Real>
void shared_step(const NetworkStep<Real>& step) {
  static_assert(rows_of_part % lanes<Real> == 0 && rows_of_part % 24 == 0 && rows_of_part % 5 == 0);
  const NetworkClient<Real>& c = step.c;
  NetworkScratch<Real>& scratch = step.scratch;
  const auto for_parts = [&](Index all, auto&& task) {
    scratch.parts.even(parts_of(all), 1);
    c.team->for_each(scratch.parts, [&](Index part, int) { task(part_of(part, all)); });
  };
  for_parts(step.rows.count, [&](Range part) {
    if (step.gathered && step.moved) pre_activate(step, part);
    forward<Activation>(step, part);
  });
  find_derivatives(step);
  prepare_masks<Activation>(step);
  const Index panels = c.sums.count();
  if (c.first && step.rows.drawn) {  // a row may be there twice, and its S is of one thread
    scratch.products.even(panels, 1);
    c.team->for_each(scratch.products, [&](Index p, int) {
      shrink_sums(c, p, {0, c.n});
      take_gradient<Activation>(step, p, step.all());
    });
  } else if (c.first) {
    for_parts(c.n, [&](Range part) {
      for (Index p = 0; p < panels; ++p) {
        shrink_sums(c, p, part);
        take_gradient<Activation>(step, p, part);
      }
    });
  }
  // Sparse rows are not cut by features.
  const Range moving = step.moving;
  const Index moved = c.gathers() ? parts_of(moving.count) : std::min<Index>(moving.count, 1);
  scratch.products.even(panels * (moved + 1), 1);
  c.team->for_each(scratch.products, [&](Index item, int) {
    const Index p = item % panels, part = item / panels;
    if (part < moved) {
      Range rows = c.gathers() ? part_of(part, moving.count) : moving;
      if (c.gathers()) rows.first += moving.first;
      step_first<Activation>(step, p, rows);
    } else if (c.second)
      step_second(step, p);
  });
}

// What the last step of a round moves: beside the sums nobody asks for more than a bias that is
// followed. Sparse rows are not cut by features.
template <class Real>
Range moved_last(const NetworkClient<Real>& c) {
  if (!c.free_bias) return {0, 0};
  return c.gathers() ? Range{c.moved.rows - 1, 1} : Range{0, c.moved.rows};
}

// fresh: the first of a round, where nothing has moved. last: of the round.
template <class Activation, class Real>
void network_steps(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch,
                   DerivativesOfRows<Real> derivatives, RowDealer* dealer, Index batch,
                   std::int64_t count, bool fresh, bool last) {
  const bool span = c.gram != nullptr;
  const Range all{0, c.first ? c.moved.rows : 0};
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
      if (c.first && c.gathers() && !(fresh && end))
        gather_rows(rows, span ? c.gram : c.rows.dense, span ? c.gram_stride : c.features,
                    c.moved.rows, scratch.gathered_rows.data());
    }
    UnitPanels<Real> moved = c.moved;
    if (fresh || !c.first)
      moved.data = nullptr;
    else if (!span)
      moved = {scratch.pre_activations.data(), rows.count, c.start.columns};
    set_second(c, scratch);
    const NetworkStep<Real> step{c,           scratch, rows,  targets,
                                 derivatives, moved,   !span, end ? moved_last(c) : all};
    if (c.free_bias) set_bias(step);
    if (c.team) {
      shared_step<Activation>(step);
      continue;
    }
    if (!span && moved) pre_activate(step, step.all());
    forward<Activation>(step, step.all());
    find_derivatives(step);
    backward<Activation>(step);
  }
}

// All rows where the steps begin.
template <class Real>
NetworkStep<Real> at_start(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch,
                           DerivativesOfRows<Real> derivatives) {
  return {c,     scratch, {c.n, nullptr}, c.targets, derivatives, {nullptr, 0, c.start.columns},
          false, {0, 0}};
}

// H and e there.
template <class Activation, class Real>
void network_derivatives(const NetworkClient<Real>& c, NetworkScratch<Real>& scratch,
                         DerivativesOfRows<Real> derivatives) {
  set_second(c, scratch);
  const NetworkStep<Real> step = at_start(c, scratch, derivatives);
  forward<Activation>(step, step.all());
  find_derivatives(step);
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
  backward<Activation>(at_start<Real>(once, scratch, nullptr));
}

template <class Real>
NetworkKernels<Real> NetworkKernels<Real>::of(std::string_view activation) {
  return with_activation(activation, []<class Activation>(Activation) {
    return NetworkKernels{&network_steps<Activation, Real>, &network_derivatives<Activation, Real>,
                          &network_gradient<Activation, Real>};
  });
}

}  // namespace localgd
