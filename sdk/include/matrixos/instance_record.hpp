/// matrixos/instance_record.hpp: the instance JSON of abi/orchestrator.h as a checked C++ value. Needs nlohmann/json.
#pragma once

#include <matrixos/json_text.hpp>
#include <matrixos/managed/json_reader.hpp>
#include <matrixos/tally.hpp>
#include <matrixos/text/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace matrixos {
inline namespace v1 {

/// Where an instance stands, for people and programs. Deleted is how a watch reports the end; Unknown is a word of a
/// later version.
enum class InstanceStatus : std::uint8_t {
  Unknown,
  Provisioning,
  Running,
  Stopped,
  Sleeping,
  Failed,
  Deleting,
  Deleted
};

/// Where it stands, more finely. Pending to Starting lead up; any phase may turn to Deleting. Unknown: not said, or a
/// word of a later version.
enum class InstancePhase : std::uint8_t {
  Unknown,
  Pending,
  Provisioning,
  Created,
  Starting,
  Running,
  Sleeping,
  Stopping,
  Stopped,
  Failed,
  Deleting
};

/// What the owner or the idle sweep wants. Unknown as for the phase.
enum class InstanceDesired : std::uint8_t { Unknown, Running, Stopped, Deleted };

namespace detail {

// In the order of the enumerators.
constexpr std::array<std::string_view, 8> kStatusWords{"",         "provisioning", "running",  "stopped",
                                                       "sleeping", "failed",       "deleting", "deleted"};
constexpr std::array<std::string_view, 11> kPhaseWords{"",         "pending", "provisioning", "created",
                                                       "starting", "running", "sleeping",     "stopping",
                                                       "stopped",  "failed",  "deleting"};
constexpr std::array<std::string_view, 4> kDesiredWords{"", "running", "stopped", "deleted"};

template <typename Enum, std::size_t Count>
constexpr Enum fromWord(const std::array<std::string_view, Count> &words, std::string_view word) noexcept {
  for (std::size_t i = 0; i < Count; ++i) {
    if (words[i] == word) return static_cast<Enum>(i);
  }
  return Enum::Unknown;
}

} // namespace detail

/// The words of the JSON; Unknown is "" in one direction and any other word in the other.
constexpr std::string_view wordOf(InstanceStatus status) noexcept {
  return detail::kStatusWords[static_cast<std::size_t>(status)];
}
constexpr std::string_view wordOf(InstancePhase phase) noexcept {
  return detail::kPhaseWords[static_cast<std::size_t>(phase)];
}
constexpr std::string_view wordOf(InstanceDesired desired) noexcept {
  return detail::kDesiredWords[static_cast<std::size_t>(desired)];
}
constexpr InstanceStatus instanceStatusOf(std::string_view word) noexcept {
  return detail::fromWord<InstanceStatus>(detail::kStatusWords, word);
}
constexpr InstancePhase instancePhaseOf(std::string_view word) noexcept {
  return detail::fromWord<InstancePhase>(detail::kPhaseWords, word);
}
constexpr InstanceDesired instanceDesiredOf(std::string_view word) noexcept {
  return detail::fromWord<InstanceDesired>(detail::kDesiredWords, word);
}

/// One address at which a running instance may be reached (abi/runtime.h).
struct InstanceEndpoint {
  std::string name;    ///< "gateway" or "shell"
  std::string address; ///< an IP address; perhaps a host name
  std::uint16_t port = 0;
  std::string scope; ///< "bridge": from this machine alone; "host": an address of this machine
  std::string epoch; ///< changes whenever the address may have passed to somebody else

  friend bool operator==(const InstanceEndpoint &a, const InstanceEndpoint &b) noexcept {
    return a.port == b.port && a.name == b.name && a.address == b.address && a.scope == b.scope && a.epoch == b.epoch;
  }
  friend bool operator!=(const InstanceEndpoint &a, const InstanceEndpoint &b) noexcept { return !(a == b); }
};

/// How an instance's program ended last, of itself.
struct InstanceEnd {
  std::int64_t exitCode = 0; ///< or 128 + signal; -1: the engine did not say
  bool oomKilled = false;    ///< for want of memory
  std::int64_t times = 0;    ///< how often in a row it ended soon after its start; 0 after a stop that was asked for
  std::int64_t at = 0;       ///< 0: it never did
};

/// How far a launch has come.
struct InstanceProgress {
  std::string phase;
  std::int64_t current = 0;
  std::int64_t total = 0; ///< 0: unknown
};

/// One instance as the orchestrator hands it out. Times are milliseconds since 1970.
struct InstanceRecord {
  std::string id; ///< ULID, for good
  std::string handle;
  std::string clerkUserId;
  std::string containerId; ///< the runtime's ref; empty: there is none
  int port = 0;            ///< host port of the gateway; 0: none published
  int shellPort = 0;
  InstanceStatus status = InstanceStatus::Unknown;
  InstancePhase phase = InstancePhase::Unknown;
  InstanceDesired desired = InstanceDesired::Unknown;
  std::uint64_t rev = 0;       ///< grows with each change of any record
  std::int64_t generation = 0; ///< counts the specs a container was made from
  std::string runtime;
  std::string image;
  std::string imageDigest;
  std::string lastError;
  std::int64_t createdAt = 0;
  std::int64_t lastActive = 0;
  std::uint64_t activitySeq = 0; ///< counts uses
  std::int64_t retryAt = 0;      ///< when a start that failed is tried again; 0: it is not
  InstanceEnd lastEnd;
  std::vector<InstanceEndpoint> endpoints;          ///< best first; empty unless it runs
  std::shared_ptr<const InstanceProgress> progress; ///< null: no launch is under way

  bool running() const noexcept { return status == InstanceStatus::Running; }
  /// No longer there for anybody who asks for it.
  bool gone() const noexcept { return status == InstanceStatus::Deleting || status == InstanceStatus::Deleted; }

  /// Unknown members are ignored; id, handle, rev and status have to be there, and the others have the values above
  /// when they are absent or null. Throws Error(InvalidArgument, BAD_JSON or BAD_FIELD) that names the member of a
  /// wrong type.
  static InstanceRecord parse(std::string_view json);

  /// A deleted one says no more than handle, id and rev.
  std::string toJson() const { return toJson(lastActive, activitySeq, progress.get()); }
  /// The same with other values of what changes without a revision.
  std::string toJson(std::int64_t activeAt, std::uint64_t uses, const InstanceProgress *launch) const;
};

namespace managed {

/// The items of "endpoints", as records and descriptions of containers have them.
inline std::vector<InstanceEndpoint> readEndpoints(const Json &object) {
  std::vector<InstanceEndpoint> endpoints;
  eachOf(object, "endpoints", [&](const Json &item) {
    if (!item.is_object()) throw badField("the items of \"endpoints\" have to be objects");
    const std::int64_t port = integerOr(item, "port", 0);
    if (port < 1 || port > 65535) throw badField("an endpoint's \"port\" has to be a port, 1 to 65535");
    endpoints.push_back({text(item, "name"), text(item, "address"), static_cast<std::uint16_t>(port),
                         textOr(item, "scope", {}), textOr(item, "epoch", {})});
  });
  return endpoints;
}

/// A whole number from 0 to `most`.
inline std::int64_t countOr(const Json &object, const char *key, std::int64_t fallback, std::int64_t most = INT64_MAX) {
  const std::int64_t count = integerOr(object, key, fallback);
  if (count < 0 || count > most) throw badField("\"" + std::string(key) + "\" is out of range");
  return count;
}

/// An RFC 3339 time; 0 when it is absent.
inline std::int64_t timeOf(const Json &object, const char *key) {
  const Json *value = find(object, key);
  if (value == nullptr) return 0;
  const auto time = value->is_string() ? parseTime(value->get_ref<const std::string &>()) : std::nullopt;
  if (!time) throw badField("\"" + std::string(key) + "\" has to be a time like 2026-11-23T15:04:05.123Z");
  return *time;
}

inline InstanceEnd readEnd(const Json &object) {
  const Json *value = find(object, "lastEnd");
  if (value == nullptr) return {};
  if (!value->is_object()) throw badField("\"lastEnd\" has to be an object");
  return {integerOr(*value, "exitCode", -1), flagOr(*value, "oomKilled", false), countOr(*value, "times", 0),
          timeOf(*value, "at")};
}

inline std::shared_ptr<const InstanceProgress> readProgress(const Json &object) {
  const Json *value = find(object, "progress");
  if (value == nullptr) return nullptr;
  if (!value->is_object()) throw badField("\"progress\" has to be an object");
  return std::make_shared<const InstanceProgress>(
      InstanceProgress{textOr(*value, "phase", {}), countOr(*value, "current", 0), countOr(*value, "total", 0)});
}

} // namespace managed

inline InstanceRecord InstanceRecord::parse(std::string_view json) {
  MATRIXOS_TALLY("record read");
  using namespace managed;
  const Json object = parseObject(json);
  InstanceRecord record;
  record.id = text(object, "id");
  record.handle = text(object, "handle");
  record.status = instanceStatusOf(text(object, "status"));
  if (find(object, "rev") == nullptr) throw badField("\"rev\" is missing; it has to be a whole number");
  record.rev = static_cast<std::uint64_t>(countOr(object, "rev", 0));
  record.clerkUserId = textOr(object, "clerkUserId", {});
  record.containerId = textOr(object, "containerId", {});
  record.port = static_cast<int>(countOr(object, "port", 0, 65535));
  record.shellPort = static_cast<int>(countOr(object, "shellPort", 0, 65535));
  record.phase = instancePhaseOf(textOr(object, "phase", {}));
  record.desired = instanceDesiredOf(textOr(object, "desired", {}));
  record.generation = countOr(object, "generation", 0);
  record.runtime = textOr(object, "runtime", {});
  record.image = textOr(object, "image", {});
  record.imageDigest = textOr(object, "imageDigest", {});
  record.lastError = textOr(object, "lastError", {});
  record.createdAt = timeOf(object, "createdAt");
  record.lastActive = timeOf(object, "lastActive");
  record.activitySeq = static_cast<std::uint64_t>(countOr(object, "activitySeq", 0));
  record.retryAt = timeOf(object, "retryAt");
  record.lastEnd = readEnd(object);
  record.endpoints = readEndpoints(object);
  record.progress = readProgress(object);
  return record;
}

inline std::string InstanceRecord::toJson(std::int64_t activeAt, std::uint64_t uses,
                                          const InstanceProgress *launch) const {
  MATRIXOS_TALLY("record written");
  constexpr std::size_t kUsualSize = 768; // of most, a little more than less
  if (status == InstanceStatus::Deleted) {
    JsonObject out;
    out.add("handle", handle).add("id", id).add("rev", rev).add("status", wordOf(status));
    return std::move(out).str();
  }
  JsonArray addresses;
  for (const InstanceEndpoint &endpoint : endpoints) {
    JsonObject item;
    item.add("name", endpoint.name).add("address", endpoint.address).add("port", int{endpoint.port});
    item.add("scope", endpoint.scope).add("epoch", endpoint.epoch);
    addresses.add(std::move(item).str());
  }
  JsonObject out(kUsualSize);
  out.add("handle", handle)
      .add("clerkUserId", clerkUserId)
      .add("containerId", containerId)
      .add("port", port)
      .add("shellPort", shellPort)
      .add("status", wordOf(status))
      .add("createdAt", formatTime(createdAt))
      .add("lastActive", formatTime(activeAt))
      .add("id", id)
      .add("rev", rev)
      .add("generation", generation)
      .add("phase", wordOf(phase))
      .add("desired", wordOf(desired))
      .add("runtime", runtime)
      .add("image", image)
      .add("imageDigest", imageDigest)
      .add("lastError", lastError)
      .add("activitySeq", uses)
      .addRaw("endpoints", std::move(addresses).str());
  if (retryAt != 0) out.add("retryAt", formatTime(retryAt));
  if (lastEnd.at != 0) {
    JsonObject item;
    item.add("exitCode", lastEnd.exitCode).add("oomKilled", lastEnd.oomKilled).add("times", lastEnd.times);
    item.add("at", formatTime(lastEnd.at));
    out.addRaw("lastEnd", std::move(item).str());
  }
  if (launch != nullptr) {
    JsonObject item;
    item.add("phase", launch->phase).add("current", launch->current).add("total", launch->total);
    out.addRaw("progress", std::move(item).str());
  }
  return std::move(out).str();
}

} // namespace v1
} // namespace matrixos
