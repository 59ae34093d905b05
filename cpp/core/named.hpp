// Types that have names: what a registry lists.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>

namespace localgd {

template <class Variant>
struct Named;
template <class... Any>
struct Named<std::variant<Any...>> {
  // An object of the type of that name. Throws std::invalid_argument where there is none; `what`
  // says of what it is the name.
  static std::variant<Any...> find(std::string_view what, std::string_view name) {
    std::variant<Any...> found;
    if (!((name == Any::name && (found = Any{}, true)) || ...))
      throw std::invalid_argument(std::string(what) + ": no " + std::string(what) + " named '" +
                                  std::string(name) + "'");
    return found;
  }
  // Calls visitor with an object of each, in order.
  template <class Visitor>
  static void for_each(Visitor&& visitor) {
    (visitor(Any{}), ...);
  }
};

namespace detail {
template <class Variant, class More>
struct WithOneMore;
template <class... Any, class More>
struct WithOneMore<std::variant<Any...>, More> {
  using type = std::variant<Any..., More>;
};
}  // namespace detail

// The types of a variant, and one that is not found by name.
template <class Variant, class More>
using WithOneMore = typename detail::WithOneMore<Variant, More>::type;

}  // namespace localgd
