#include "isolation/host/SectionHost.h"

#include "common/HostTable.h"
#include "isolation/Frames.h"

#include <matrixos/abi/host.h>
#include <matrixos/call.hpp>
#include <matrixos/json.hpp>
#include <matrixos/status.hpp>

#include <algorithm>

namespace matrixos::isolation::host {

namespace {

constexpr unsigned kMostProblems = 32;
constexpr std::size_t kMostOfText = 1024;

/// The plugin's configuration, and nothing else of a host.
class SectionHost {
public:
  explicit SectionHost(std::string_view frame) : frame_(decode<SectionFrame>(frame.substr(kHeaderSize))) {
    table_ = common::hostTable<mos_host_config_v1>(this);
    table_.get_string = [](void *self, mos_str key, mos_buf *out, mos_error *error) {
      return guarded(error, [&] { giveBuffer(out, std::string(of(self).find(key, 0).text)); });
    };
    table_.get_int = [](void *self, mos_str key, std::int64_t *out, mos_error *error) {
      return guarded(error, [&] { *out = of(self).find(key, SectionFrame::kInteger).integer; });
    };
    table_.get_number = [](void *self, mos_str key, double *out, mos_error *error) {
      return guarded(error, [&] { *out = of(self).find(key, SectionFrame::kNumber).number; });
    };
    table_.get_list = [](void *self, mos_str key, mos_sink items, mos_error *error) {
      return guarded(error, [&] {
        for (const std::string_view item : of(self).find(key, SectionFrame::kList).items)
          if (items.item(items.ctx, toAbi(item)) == MOS_SINK_STOP) break;
      });
    };
  }
  SectionHost(const SectionHost &) = delete;
  SectionHost &operator=(const SectionHost &) = delete;

  const mos_host_config_v1 *table() const noexcept { return &table_; }

private:
  static const SectionHost &of(void *self) { return *static_cast<const SectionHost *>(self); }

  const SectionFrame::Value &find(mos_str key, std::uint8_t kind) const {
    const auto found = std::find_if(frame_.values.begin(), frame_.values.end(),
                                    [&](const SectionFrame::Value &value) { return value.key == fromAbi(key); });
    if (found == frame_.values.end())
      throw Error(Status::NotFound, "there is no key " + std::string(fromAbi(key)), "NO_KEY");
    if ((found->kinds & kind) != kind)
      throw Error(Status::InvalidArgument, std::string(fromAbi(key)) + " is of another type", "WRONG_TYPE");
    return *found;
  }

  const SectionFrame frame_;
  mos_host_config_v1 table_{};
};

/// Adds to a JSON array, which may be what it likes.
void note(void *ctx, mos_str key, mos_str text) {
  auto &problems = *static_cast<json::Array *>(ctx);
  if (problems.size() < kMostProblems)
    problems.add(json::object({{"key", std::string(fromAbi(key).substr(0, kMostOfText))},
                               {"text", std::string(fromAbi(text).substr(0, kMostOfText))}}));
}

} // namespace

std::string checkSection(const mos_descriptor_v1 *descriptor, std::string_view frame) {
  if (descriptor == nullptr || descriptor->magic != MOS_MAGIC || !MOS_HAS(descriptor, mos_descriptor_v1, check))
    throw Error(Status::FailedPrecondition, "the plugin's file was exchanged for one that has no check");
  const SectionHost host(frame);
  json::Array problems;
  mos_error error{};
  const mos_status status = descriptor->check(host.table(), {&problems, &note}, &error);
  json::Object::Ptr answer = json::object({});
  answer->set("problems", problems);
  if (status != MOS_OK) answer->set("error", std::string("it says: ") + toError(status, error).what());
  return json::dump(answer);
}

} // namespace matrixos::isolation::host
