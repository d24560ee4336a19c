#include "plugin/Quarantine.h"

#include "common/AtomicFile.h"
#include "common/Ownership.h"
#include "plugin/Manifest.h"

#include <matrixos/json.hpp>
#include <matrixos/text/time.hpp>

#include <sys/stat.h>

#include <system_error>

namespace matrixos::plugin {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestRecord = 16 * 1024;

/// Size and time of the file; zeros when there is none.
void identify(const fs::path &file, Quarantine::Record &record) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return;
  record.fileSize = static_cast<std::uint64_t>(info.st_size);
  record.fileMtimeNs = static_cast<std::int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

bool isSameFile(const Quarantine::Record &record, const fs::path &file) {
  Quarantine::Record present;
  identify(file, present);
  return present.fileSize == record.fileSize && present.fileMtimeNs == record.fileMtimeNs;
}

std::string toJson(const std::string &id, const Quarantine::Record &record) {
  return json::dump(json::object({{"plugin", id},
                                  {"version", record.version},
                                  {"crashes", record.crashes},
                                  {"quarantined", record.quarantined},
                                  {"reason", record.reason},
                                  {"at", record.at},
                                  {"fileSize", record.fileSize},
                                  {"fileMtimeNs", record.fileMtimeNs}})) +
         "\n";
}

} // namespace

std::optional<Quarantine::Record> Quarantine::find(const std::string &id) const {
  std::error_code error;
  const fs::path file = folder_ / id;
  if (!isPluginId(id) || !fs::exists(file, error)) return std::nullopt;
  try {
    const json::Object::Ptr object = json::parseObject(common::readFile(file, kLongestRecord));
    Record record;
    record.crashes = object->getValue<int>("crashes");
    record.quarantined = object->getValue<bool>("quarantined");
    record.reason = object->optValue<std::string>("reason", "");
    record.at = object->optValue<std::string>("at", "");
    record.version = object->optValue<std::string>("version", "");
    record.fileSize = object->optValue<std::uint64_t>("fileSize", 0);
    record.fileMtimeNs = object->optValue<std::int64_t>("fileMtimeNs", 0);
    return record;
  } catch (const std::exception &) {
    return std::nullopt;
  }
}

Quarantine::Record Quarantine::note(const CrashReport &crash, const fs::path &file) const {
  Record record;
  if (const auto before = find(crash.plugin); before && isSameFile(*before, file)) record = *before;
  ++record.crashes;
  record.quarantined = record.crashes >= kCrashes;
  record.reason = crash.sentence();
  record.at = formatTimeSeconds(wallClockMs());
  record.version = crash.version;
  identify(file, record);
  common::makeOwnFolder(folder_, 0700, "the folder of crash records");
  common::writeFileAtomically(folder_ / crash.plugin, toJson(crash.plugin, record));
  return record;
}

std::string Quarantine::refusal(const std::string &id, const fs::path &file) const {
  const auto record = find(id);
  if (!record || !record->quarantined) return {};
  if (!isSameFile(*record, file)) {
    lift(id);
    return {};
  }
  return "it brought the daemon down " + std::to_string(record->crashes) + " times in a row, the last time with " +
         record->reason + " (found " + record->at +
         "), and is quarantined: it is not loaded. Install a version that is fixed, or try again with matrixosctl "
         "plugins enable " +
         id + " (the same as deleting " + (folder_ / id).string() +
         "); a runtime can also run in a process of its own, with isolation = process in its section";
}

void Quarantine::lift(const std::string &id) const noexcept {
  std::error_code error;
  if (isPluginId(id)) fs::remove(folder_ / id, error);
}

void Quarantine::forgive() const noexcept {
  try {
    std::error_code error;
    for (const auto &entry : fs::directory_iterator(folder_, error)) {
      const std::string id = entry.path().filename().string();
      const auto record = find(id);
      if (record && !record->quarantined) lift(id);
    }
  } catch (const std::exception &) {
    // The next run that goes well tries again.
  }
}

} // namespace matrixos::plugin
