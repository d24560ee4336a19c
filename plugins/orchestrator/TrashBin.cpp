#include "TrashBin.h"

#include "InstanceStore.h"
#include "InstanceTable.h"
#include "OperationQueue.h"
#include "Settings.h"
#include "Telemetry.h"

#include <matrixos/directory_volumes.hpp>
#include <matrixos/text/time.hpp>

#include <dirent.h>

#include <algorithm>
#include <memory>

namespace matrixos::orchestrator {

namespace {

Error noItem(const std::string &id) {
  return Error(Status::NotFound, "there is nothing called \"" + id + "\" in the trash", "NO_TRASH");
}

/// When it came there: a rename changes a directory's status (rename(2)).
std::int64_t changedAt(int trash, const std::string &name) {
  struct stat info {};
  if (::fstatat(trash, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(info.st_mode)) throw noItem(name);
  return std::int64_t{info.st_ctim.tv_sec} * 1000 + info.st_ctim.tv_nsec / 1'000'000;
}

std::vector<std::string> namesIn(int directory, const std::string &path) {
  const std::unique_ptr<DIR, int (*)(DIR *)> stream(::fdopendir(::fcntl(directory, F_DUPFD_CLOEXEC, 0)), ::closedir);
  if (!stream) throw volumes::osError(path + " cannot be read", errno);
  std::vector<std::string> names;
  while (const dirent *entry = ::readdir(stream.get())) { // NOLINT(concurrency-mt-unsafe): a stream of its own
    std::string name = entry->d_name;
    if (isEngineName(name)) names.push_back(std::move(name));
  }
  return names;
}

} // namespace

/// Null when there is none, or none of this installation.
FileDescriptor TrashBin::openUsers() const {
  const auto settings = shop_.settings.get();
  FileDescriptor users(::open(settings->usersDir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!users && errno != ENOENT) throw volumes::osError(settings->usersDir + " cannot be opened", errno);
  if (users && volumes::readMarker(users.get(), settings->usersDir) != settings->installId) users.reset();
  return users;
}

FileDescriptor TrashBin::openTrash(int users) const {
  bool made = false;
  const std::string name(volumes::kTrash);
  return volumes::openDirectory(users, name, false, made, shop_.settings.get()->usersDir + "/" + name);
}

std::vector<TrashBin::Item> TrashBin::list() const {
  std::vector<Item> items;
  const FileDescriptor users = openUsers();
  if (!users) return items;
  const FileDescriptor trash = openTrash(users.get());
  if (!trash) return items;
  for (std::string &name : namesIn(trash.get(), shop_.settings.get()->usersDir + "/.trash")) {
    Item item;
    try {
      item.deletedAt = changedAt(trash.get(), name);
    } catch (const Error &) {
      continue; // gone meanwhile, or not one of ours
    }
    if (const auto stone = shop_.store.findTombstoneOf(name.substr(0, name.find('.')))) {
      item.handle = stone->handle;
      item.clerkUserId = stone->clerkUserId;
    }
    item.id = std::move(name);
    items.push_back(std::move(item));
  }
  std::sort(items.begin(), items.end(), [](const Item &a, const Item &b) { return a.deletedAt < b.deletedAt; });
  return items;
}

void TrashBin::purge(const std::string &id) const {
  const FileDescriptor users = openUsers();
  const FileDescriptor trash = users ? openTrash(users.get()) : FileDescriptor();
  if (!trash || !isEngineName(id)) throw noItem(id);
  changedAt(trash.get(), id);
  removeTree(trash.get(), id);
  shop_.telemetry.log().info("a deleted instance's data was removed", {{"id", id}});
}

std::string TrashBin::restore(const std::string &id) const {
  const std::vector<Item> items = list();
  const auto item = std::find_if(items.begin(), items.end(), [&](const Item &each) { return each.id == id; });
  if (item == items.end()) throw noItem(id);
  const std::string &handle = item->handle;
  if (handle.empty()) {
    throw Error(Status::FailedPrecondition,
                "nobody knows any more whose data \"" + id + "\" was; move it from " + shop_.settings.get()->usersDir +
                    "/.trash by hand",
                "NO_OWNER");
  }
  const auto inUse = [&] {
    return Error(Status::FailedPrecondition,
                 "there is an instance \"" + handle + "\", or a home of that name: move " + "it out of the way first",
                 "HANDLE_IN_USE");
  };
  if (shop_.table.find(handle) || !shop_.queue.isIdle(handle)) throw inUse();
  const FileDescriptor users = openUsers();
  const FileDescriptor trash = users ? openTrash(users.get()) : FileDescriptor();
  if (!trash) throw noItem(id);
  if (::renameat2(trash.get(), id.c_str(), users.get(), handle.c_str(), RENAME_NOREPLACE) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY) throw inUse();
    if (errno == ENOENT) throw noItem(id);
    throw volumes::osError("\"" + id + "\" cannot be moved out of the trash", errno);
  }
  volumes::sync(users.get(), shop_.settings.get()->usersDir);
  volumes::sync(trash.get(), shop_.settings.get()->usersDir + "/.trash");
  shop_.telemetry.log().info("a deleted instance's data was put back", {{"id", id}, {"handle", handle}});
  return handle;
}

void TrashBin::expire() const noexcept {
  mos_error failure{};
  const mos_status status = guarded(&failure, [&] {
    const std::int64_t keep = shop_.settings.get()->trashKeep.count();
    if (keep == 0) return; // for ever
    for (const Item &item : list()) {
      if (wallClockMs() - item.deletedAt > keep) purge(item.id);
    }
  });
  if (status != MOS_OK) shop_.telemetry.log().warning("the trash was not emptied", {{"error", failure.message}});
}

} // namespace matrixos::orchestrator
