/// volumes: data that outlives its instance.
#include "Cases.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace matrixos::conformance {

namespace {

namespace fs = std::filesystem;

constexpr const char *kVolumes = "runtime.h volumes: ensure, trash, snapshot";

/// A volume of this case. Its data is reached through the host path, where the runtime has host paths.
struct Volume {
  std::string handle;
  fs::path users;
  std::string ref;

  Json request() const {
    Json request{{"name", handle}, {"labels", {{MOS_LABEL_HANDLE, handle}}}};
    if (!users.empty()) request["hostPath"] = (users / handle / "home").string();
    return request;
  }
  fs::path hostPath() const { return users / handle / "home"; }
  bool onHost() const {
    std::error_code ignored;
    return !users.empty() && fs::is_directory(hostPath(), ignored);
  }
};

Volume makeVolume(CaseSession &t) {
  t.need("volumes");
  Volume volume;
  volume.handle = t.word("v");
  volume.users = t.options().usersDirectory;
  const Answer answer = t.rt().volumeEnsure(volume.request().dump(), t.how(t.operation()));
  t.unlessUnimplemented(answer, "volume_ensure", "volumes");
  t.ok(answer, "volume_ensure()");
  volume.ref = textOf(answer.json, "volume");
  t.expect(!volume.ref.empty() && answer.json.value("created", false), "{\"volume\": ref, \"created\": true}",
           answer.text(), "runtime.h volume_ensure()");
  return volume;
}

void idempotent(CaseSession &t) {
  const Volume volume = makeVolume(t);
  const Answer again = t.rt().volumeEnsure(volume.request().dump(), t.how(t.operation()));
  t.ok(again, "volume_ensure() of a volume that is there");
  t.expect(textOf(again.json, "volume") == volume.ref && again.json.value("created", true) == false,
           "the same volume, \"created\": false", again.text());
}

void write(const fs::path &file, const std::string &text) {
  std::ofstream(file) << text;
}

/// Below any folder of `root`: the file `leaf` inside something named `as`, with this content.
bool foundUnder(const fs::path &root, const std::string &as, const std::string &leaf, const std::string &text) {
  std::error_code error;
  for (fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied, error), end; at != end;
       at.increment(error)) {
    if (error) return false;
    const std::string path = at->path().string();
    if (at->path().filename() != leaf || path.find("/" + as) == std::string::npos) continue;
    std::ifstream in(at->path());
    if (std::string(std::istreambuf_iterator<char>(in), {}) == text) return true;
  }
  return false;
}

void survives(CaseSession &t) {
  const Volume volume = makeVolume(t);
  if (!volume.onHost()) t.skip("the volume's data cannot be reached from here");
  write(volume.hostPath() / "kept.txt", "precious");
  Json spec = t.spec(t.name());
  spec["volumes"] = Json::array({{{"volume", volume.ref}, {"path", "/home/matrixos/home"}, {"readOnly", false}}});
  const std::string ref = t.running(spec);
  t.remove(ref);
  t.running(spec);
  std::ifstream in(volume.hostPath() / "kept.txt");
  t.expect(std::string(std::istreambuf_iterator<char>(in), {}) == "precious", "the data after remove() and create()",
           "it is gone", "runtime.h remove(): removes the container, never its volumes");
}

void trash(CaseSession &t) {
  const Volume volume = makeVolume(t);
  const std::string as = t.word("trash");
  if (volume.onHost()) write(volume.hostPath() / "kept.txt", "precious " + as);
  const bool onHost = volume.onHost();
  t.ok(t.rt().volumeTrash(volume.ref, as, t.how(t.operation())), "volume_trash()");
  if (onHost) {
    t.expect(!volume.onHost(), "no data at the volume's place after volume_trash()", "it is still there");
    t.expect(foundUnder(volume.users, as, "kept.txt", "precious " + as),
             "the data below the users directory under " + as, "it is nowhere",
             "runtime.h volume_trash(): moves the data away, recoverable, under the name `as`");
  }
  t.ok(t.rt().volumeTrash(volume.ref, t.word("trash"), t.how(t.operation())), "volume_trash() of what is absent",
       "runtime.h volume_trash(): absent already is success");
  const Answer fresh = t.rt().volumeEnsure(volume.request().dump(), t.how(t.operation()));
  t.ok(fresh, "volume_ensure() after volume_trash()");
  t.expect(fresh.json.value("created", false), "\"created\": true after volume_trash()", fresh.text());
}

void snapshot(CaseSession &t) {
  const Volume volume = makeVolume(t);
  const std::string as = t.word("snapshot");
  if (volume.onHost()) write(volume.hostPath() / "kept.txt", "precious " + as);
  const Answer answer = t.rt().volumeSnapshot(volume.ref, as, t.how(t.operation()));
  t.unlessUnimplemented(answer, "volume_snapshot");
  t.ok(answer, "volume_snapshot()");
  if (!volume.onHost()) return;
  t.expect(foundUnder(volume.users, as, "kept.txt", "precious " + as),
           "a copy of the data below the users directory under " + as, "it is nowhere",
           "runtime.h volume_snapshot(): copies it under the name `as`");
  std::ifstream in(volume.hostPath() / "kept.txt");
  t.expect(std::string(std::istreambuf_iterator<char>(in), {}) == "precious " + as, "the volume as it was",
           "it has changed");
}

void removeIfEmpty(CaseSession &t) {
  const Volume volume = makeVolume(t);
  const auto remove = [&] { return t.rt().volumeRemoveIfEmpty(volume.ref, t.how(t.operation())); };
  if (volume.onHost()) {
    write(volume.hostPath() / "kept.txt", "precious");
    const Answer answer = remove();
    t.unlessUnimplemented(answer, "volume_remove_if_empty");
    t.refused(answer, {MOS_FAILED_PRECONDITION}, "volume_remove_if_empty() of one that holds a file");
    t.expect(fs::remove(volume.hostPath() / "kept.txt"), "the file where it was", "it is gone");
  }
  const Answer answer = remove();
  t.unlessUnimplemented(answer, "volume_remove_if_empty");
  t.ok(answer, "volume_remove_if_empty() of an empty one");
  t.ok(remove(), "volume_remove_if_empty() of what is absent");
  const Answer fresh = t.rt().volumeEnsure(volume.request().dump(), t.how(t.operation()));
  t.expect(fresh.json.value("created", false), "\"created\": true after volume_remove_if_empty()", fresh.text());
}

/// Names that would lead out of the place where volumes lie.
void names(CaseSession &t) {
  const Volume volume = makeVolume(t);
  for (const char *bad : {"../escape", "a/b", "..", ".", "", "/etc"}) {
    t.refused(t.rt().volumeTrash(volume.ref, bad, t.how(t.operation())), {MOS_INVALID_ARGUMENT},
              "volume_trash() as \"" + std::string(bad) + "\"");
    const Answer answer = t.rt().volumeSnapshot(volume.ref, bad, t.how(t.operation()));
    if (answer.status != MOS_UNIMPLEMENTED)
      t.refused(answer, {MOS_INVALID_ARGUMENT}, "volume_snapshot() as \"" + std::string(bad) + "\"");
  }
  for (const char *bad : {"../escape", "a/b", "..", ""}) {
    Json request = volume.request();
    request["name"] = bad;
    if (request.contains("hostPath"))
      request["hostPath"] = volume.users.string() + "/" + volume.handle + "/../../" + bad + "/home";
    t.refused(t.rt().volumeEnsure(request.dump(), t.how(t.operation())), {MOS_INVALID_ARGUMENT, MOS_PERMISSION_DENIED},
              "volume_ensure() of " + request.dump());
  }
  t.refused(t.rt().volumeEnsure("{", t.how(t.operation())), {MOS_INVALID_ARGUMENT}, "volume_ensure() of bad JSON");
}

} // namespace

void addVolumes(CaseList &list) {
  list.push_back({"volumes.ensure", "a volume is made once",
                  "runtime.h volume_ensure(): {\"volume\": ref, \"created\": bool}", kOptional, idempotent});
  list.push_back(
      {"volumes.survives", "data outlives the instance", "runtime.h remove(): never its volumes", kOptional, survives});
  list.push_back({"volumes.trash", "trashed data is out of the way and can be got back", kVolumes, kOptional, trash});
  list.push_back(
      {"volumes.snapshot", "a snapshot is equal and leaves the volume alone", kVolumes, kOptional, snapshot});
  list.push_back({"volumes.remove-if-empty", "an empty volume is removed, and no other",
                  "runtime.h volume_remove_if_empty()", kOptional, removeIfEmpty});
  list.push_back({"volumes.names", "names that lead elsewhere are refused", kVolumes, kOptional, names});
}

} // namespace matrixos::conformance
