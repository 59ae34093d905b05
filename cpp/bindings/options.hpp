// The core's options from dictionaries: what an options object shows to its visitor is the one list
// of their names. Each has to be there, and no other.
#pragma once

#include <algorithm>
#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "convert.hpp"
#include "core/round/corrections/registry.hpp"
#include "servers.hpp"

namespace localgd {

template <class Value>
void read(const py::handle& given, Value& value) {
  value = given.cast<Value>();
}
template <std::integral Number>
void read(const py::handle& given, std::vector<Number>& value) {
  value = numbers<Number>(given.cast<Indices>());
}
inline void read(const py::handle& given, std::int64_t& value) {
  if (!given.is_none()) value = given.cast<std::int64_t>();  // None: without a limit
}

inline void refuse_others(const std::string& what, const py::dict& values,
                          const std::vector<std::string_view>& known) {
  for (const auto& entry : values) {
    const auto name = py::str(entry.first).cast<std::string>();
    if (std::find(known.begin(), known.end(), name) == known.end())
      throw std::invalid_argument(what + ": there is no '" + name + "'");
  }
}

// Sets what options.visit() shows; `kind` is one name more, which the caller has read.
template <class Options>
void read_options(const std::string& what, const py::dict& values, Options& options,
                  bool kind = false) {
  std::vector<std::string_view> known;
  if (kind) known.push_back("kind");
  options.visit([&]<class Value>(const char* name, Value& value, auto&&...) {
    known.push_back(name);
    const py::handle given = PyDict_GetItemString(values.ptr(), name);
    if (!given) throw std::invalid_argument(what + ": '" + name + "' is missing");
    try {
      read(given, value);
    } catch (const py::cast_error&) {
      throw py::type_error(what + ": '" + name + "' is of another type");
    }
  });
  if (values.size() > known.size()) refuse_others(what, values, known);
}

template <class Options>
Options read_options(const std::string& what, const py::dict& values) {
  Options options;
  read_options(what, values, options);
  return options;
}

inline std::string kind_of(const std::string& what, const py::dict& values) {
  if (!values.contains("kind")) throw std::invalid_argument(what + ": 'kind' is missing");
  return values["kind"].cast<std::string>();
}

inline void read(const py::handle& given, ServerRule& value) {
  const auto values = given.cast<py::dict>();
  value = ServerRule::named(kind_of("server", values));
  if (auto* called = std::get_if<CalledServer>(&value.server)) {
    called->function = std::make_shared<PythonServer>(values["stepping"]);
    return;
  }
  read_options("server", values, value, true);
}

inline void read(const py::handle& given, RateRule& value) {
  const auto values = given.cast<py::dict>();
  value = RateRule::named(kind_of("rates", values));
  read_options("rates", values, value, true);
}

struct CorrectionParameters {
  Correction* of;  // or none

  template <class Show>
  void visit(Show&& show) {
    if (of) of->visit(show);
  }
};

inline void read(const py::handle& given, std::shared_ptr<const Correction>& value) {
  const auto values = given.cast<py::dict>();
  auto made = make_correction(kind_of("correction", values));
  CorrectionParameters parameters{made.get()};
  read_options("correction", values, parameters, true);
  value = std::move(made);
}

}  // namespace localgd
