#include "EngineState.h"

#include "Bytes.h"
#include "ShapeBytes.h"

#include <algorithm>

namespace matrixos::simulated {

namespace {

/// First byte of a record. Never renumber: files of older versions hold them.
enum class Kind : char {
  Meta = 'M',
  Put = 'C',
  Life = 'L',
  Drop = 'D',
  Volume = 'V',
  VolumeGone = 'v',
  Trash = 'T',
  Snapshot = 'S',
  Image = 'I',
  Publication = 'P',
  Network = 'N',
};

std::string record(Kind kind, const ByteWriter &body) {
  return static_cast<char>(kind) + body.str();
}

std::string copyRecord(Kind kind, const std::string &as, const VolumeCopy &copy) {
  return record(kind, ByteWriter().text(as).text(copy.volume).number(copy.data));
}

} // namespace

std::string EngineState::metaRecord() const {
  return record(Kind::Meta, ByteWriter().number(seed).number(nextSerial).number(nextData).number(latestMs));
}

std::string EngineState::putRecord(const Container &container) const {
  ByteWriter out;
  out.number(container.serial).text(container.name).number(container.operation).number(container.createdAt);
  out.text(encodeShape(*container.shape)).number(static_cast<std::uint64_t>(container.hostPorts.size()));
  for (const std::uint16_t port : container.hostPorts)
    out.number(static_cast<std::uint32_t>(port));
  container.labels.each(
      [&](std::uint32_t name, std::string_view value) { out.text(containers.labelNames().name(name)).text(value); });
  return record(Kind::Put, out);
}

std::string EngineState::lifeRecord(const Container &container, const Life &life) {
  ByteWriter out;
  out.number(container.serial).number(static_cast<int>(life.state)).number(static_cast<int>(life.health));
  out.number(life.oomKilled ? 1 : 0).number(static_cast<std::int64_t>(life.exitCode)).number(life.starts);
  out.number(life.startedAt).number(life.finishedAt).number(life.address);
  return record(Kind::Life, out);
}

std::string EngineState::dropRecord(const Container &container) {
  return record(Kind::Drop, ByteWriter().number(container.serial));
}

std::string EngineState::volumeRecord(const std::string &ref, const SimulatedVolume &volume) {
  return record(Kind::Volume, ByteWriter().text(ref).number(volume.data).number(volume.operation));
}

std::string EngineState::volumeGoneRecord(const std::string &ref) {
  return record(Kind::VolumeGone, ByteWriter().text(ref));
}

std::string EngineState::trashRecord(const std::string &as, const VolumeCopy &copy) {
  return copyRecord(Kind::Trash, as, copy);
}

std::string EngineState::snapshotRecord(const std::string &as, const VolumeCopy &copy) {
  return copyRecord(Kind::Snapshot, as, copy);
}

std::string EngineState::imageRecord(const std::string &name, const std::string &digest) {
  return record(Kind::Image, ByteWriter().text(name).text(digest));
}

std::string EngineState::publicationRecord(const std::string &name, std::uint64_t count) {
  return record(Kind::Publication, ByteWriter().text(name).number(count));
}

std::string EngineState::networkRecord(const std::string &name, bool exists) {
  return record(Kind::Network, ByteWriter().text(name).number(exists ? 1 : 0));
}

Container &EngineState::insert(Container container) {
  nextSerial = std::max(nextSerial, container.serial + 1);
  latestMs = std::max(latestMs, container.createdAt);
  for (const std::string &network : container.shape->networks)
    ++networks[network];
  return containers.insert(std::move(container));
}

void EngineState::erase(Container &container) {
  for (const std::string &network : container.shape->networks)
    --networks[network];
  containers.erase(container);
}

void EngineState::setLife(Container &container, const Life &life) {
  latestMs = std::max({latestMs, life.startedAt, life.finishedAt});
  containers.setLife(container, life);
}

void EngineState::replayPut(std::string_view bytes) {
  ByteReader in(bytes);
  Container container;
  container.serial = in.number();
  container.name = in.text();
  container.operation = in.number();
  container.createdAt = in.as<std::int64_t>();
  const std::string_view shape = in.text();
  for (std::uint64_t left = in.number(); left > 0; --left)
    container.hostPorts.push_back(in.as<std::uint16_t>());
  Labels labels;
  while (!in.atEnd()) {
    const std::string_view name = in.text();
    labels.emplace_back(name, in.text());
  }
  if (containers.findBySerial(container.serial) != nullptr || containers.findByName(container.name) != nullptr) {
    throw Error(Status::DataLoss, "the container " + container.name + " is there twice", "BAD_RECORD");
  }
  container.labels = PackedLabels(labels, containers.labelNames());
  Shape *known = containers.findShape(shape);
  container.shape = known != nullptr ? known : &containers.share(decodeShape(shape));
  insert(std::move(container));
}

void EngineState::replayLife(std::string_view bytes) {
  ByteReader in(bytes);
  Container *container = containers.findBySerial(in.number());
  if (container == nullptr) throw Error(Status::DataLoss, "a state belongs to no container", "BAD_RECORD");
  Life life;
  life.state = static_cast<ContainerState>(std::min<std::uint64_t>(in.number(), kStateNames.size() - 1));
  life.health = static_cast<Health>(std::min<std::uint64_t>(in.number(), 2));
  life.oomKilled = in.number() != 0;
  life.exitCode = in.as<std::int32_t>();
  life.starts = in.as<std::uint32_t>();
  life.startedAt = in.as<std::int64_t>();
  life.finishedAt = in.as<std::int64_t>();
  life.address = in.as<std::uint32_t>();
  setLife(*container, life);
}

void EngineState::replay(std::string_view bytes) {
  if (bytes.empty()) throw Error(Status::DataLoss, "a record is empty", "BAD_RECORD");
  const auto kind = static_cast<Kind>(bytes.front());
  bytes.remove_prefix(1);
  ByteReader in(bytes);
  switch (kind) {
  case Kind::Meta:
    seed = in.number();
    nextSerial = std::max(nextSerial, in.number());
    nextData = std::max(nextData, in.number());
    latestMs = std::max(latestMs, in.as<std::int64_t>());
    return;
  case Kind::Put:
    return replayPut(bytes);
  case Kind::Life:
    return replayLife(bytes);
  case Kind::Drop:
    if (Container *container = containers.findBySerial(in.number())) erase(*container);
    return;
  case Kind::Volume: {
    std::string ref(in.text());
    const std::uint64_t data = in.number();
    nextData = std::max(nextData, data + 1);
    volumes[std::move(ref)] = {data, in.number()};
    return;
  }
  case Kind::VolumeGone:
    volumes.erase(std::string(in.text()));
    return;
  case Kind::Trash:
  case Kind::Snapshot: {
    VolumeCopy &copy = (kind == Kind::Trash ? trash : snapshots)[std::string(in.text())];
    copy.volume = in.text();
    copy.data = in.number();
    return;
  }
  case Kind::Image: {
    std::string name(in.text());
    const std::string digest(in.text());
    if (digest.empty())
      images.erase(name);
    else
      images[std::move(name)] = digest;
    return;
  }
  case Kind::Publication: {
    std::string name(in.text());
    publications[std::move(name)] = in.number();
    return;
  }
  case Kind::Network: {
    std::string name(in.text());
    if (in.number() != 0)
      networks.try_emplace(std::move(name), 0);
    else
      networks.erase(name);
    return;
  }
  }
  throw Error(Status::DataLoss, "a record is of a kind that this version does not know", "BAD_RECORD");
}

std::size_t EngineState::recordCount() const noexcept {
  return 1 + publications.size() + images.size() + networks.size() + volumes.size() + trash.size() + snapshots.size() +
         2 * containers.size();
}

void EngineState::save(const Journal::Record &write) const {
  write(metaRecord());
  for (const auto &[name, count] : publications)
    write(publicationRecord(name, count));
  for (const auto &[name, digest] : images)
    write(imageRecord(name, digest));
  for (const auto &[name, users] : networks)
    write(networkRecord(name, true));
  for (const auto &[ref, volume] : volumes)
    write(volumeRecord(ref, volume));
  for (const auto &[as, copy] : trash)
    write(trashRecord(as, copy));
  for (const auto &[as, copy] : snapshots)
    write(snapshotRecord(as, copy));
  for (const auto &[serial, container] : containers.all()) {
    write(putRecord(container));
    if (container.life.starts > 0) write(lifeRecord(container, container.life));
  }
}

} // namespace matrixos::simulated
