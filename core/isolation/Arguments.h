/// The arguments of a described function, between mos_forwarder_v1.call and a frame.
#pragma once

#include "common/ServiceDescription.h"
#include "isolation/CallTable.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace matrixos::isolation {

/// What a call in a process needs of the arguments that mos_forwarder_v1.call was given; texts are borrowed from them.
struct Arguments {
  CallRequest request;
  const mos_call *call = nullptr;
  const mos_completion *done = nullptr;

  Arguments(const common::ServiceDescription &service, std::size_t number, std::uint16_t slot, void *const *args);
};

/// Where a call that came as a frame puts what it gives.
struct Answers {
  mos_sink sink{};
  mos_buf *out = nullptr;
  std::uint64_t *number = nullptr;
  mos_completion done{};
  mos_error *error = nullptr;
};

/// What a frame brought, in the form of mos_forwarder_v1.call.
class FrameArguments {
public:
  /// All is borrowed. Throws Error("PROTOCOL") unless there are as many texts and numbers as the function has, and one
  /// number more where it takes a completion, for which that stands.
  FrameArguments(const common::ServiceFunction &function, const std::vector<std::string> &texts,
                 const std::vector<std::int64_t> &numbers, const mos_call *call, const Answers &answers);
  FrameArguments(const FrameArguments &) = delete;
  FrameArguments &operator=(const FrameArguments &) = delete;

  void *const *args() const noexcept { return args_.data(); }

private:
  union Value {
    common::ServiceValue value;
    mos_completion done;
    std::uint64_t *number;
  };
  std::array<Value, MOS_MOST_PARAMETERS> values_{};
  std::array<void *, MOS_MOST_PARAMETERS + 1> args_{};
  mos_error *error_;
};

} // namespace matrixos::isolation
