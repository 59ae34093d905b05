// What of its change of the model a client sends to the server: all of it, or what a compressor
// leaves.
#pragma once

#include <functional>
#include <memory>

#include "../data.hpp"
#include "../state.hpp"
#include "participants.hpp"

namespace localgd {

class Uplink {
 public:
  virtual ~Uplink() = default;

  // Makes of a client's change, d x C, what the server gets. Several clients may be at work at the
  // same time; what is remembered of one changes with commit() only.
  virtual void send(Index client, Matrix<double>& change) = 0;

  // The round is done.
  virtual void commit(const Participants&) {}

  // Shows what a restored run needs.
  virtual void visit(const Visit&) {}
};

using MakeUplink = std::function<std::unique_ptr<Uplink>(const Data& data, Index outputs)>;

}  // namespace localgd
