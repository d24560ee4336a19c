#pragma once

#include "AddressPool.h"
#include "ContainerTable.h"
#include "Journal.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace matrixos::simulated {

/// A volume's content is a number: the same number is the same data, wherever it was moved or copied to.
struct SimulatedVolume {
  std::uint64_t data = 0;
  std::uint64_t operation = 0; ///< hash of the operation id it was made by
};

/// Data that was moved aside or copied.
struct VolumeCopy {
  std::string volume;
  std::uint64_t data = 0;
};

/// Everything that the engine remembers, and how it becomes records of the journal and is made of them again. A change
/// is first written with one of the functions that give a record, and then made. Not thread-safe.
struct EngineState {
  explicit EngineState(std::uint64_t seedOfNew) : seed(seedOfNew) {}

  std::uint64_t seed;
  ContainerTable containers;
  std::unordered_map<std::string, SimulatedVolume> volumes; ///< by ref
  std::map<std::string, VolumeCopy> trash;                  ///< by the name they were given
  std::map<std::string, VolumeCopy> snapshots;
  std::map<std::string, std::string> images;         ///< present ones, with their digest
  std::map<std::string, std::uint64_t> publications; ///< how often the registry's image was replaced by a newer one
  std::map<std::string, std::size_t> networks;       ///< with the number of containers in them
  std::uint64_t nextSerial = 1;
  std::uint64_t nextData = 1;
  std::int64_t latestMs = 0; ///< the latest time that anything carries

  // Records.
  std::string putRecord(const Container &container) const;
  static std::string lifeRecord(const Container &container, const Life &life);
  static std::string dropRecord(const Container &container);
  static std::string volumeRecord(const std::string &ref, const SimulatedVolume &volume);
  static std::string volumeGoneRecord(const std::string &ref);
  static std::string trashRecord(const std::string &as, const VolumeCopy &copy);
  static std::string snapshotRecord(const std::string &as, const VolumeCopy &copy);
  static std::string imageRecord(const std::string &name, const std::string &digest);
  static std::string publicationRecord(const std::string &name, std::uint64_t count);
  static std::string networkRecord(const std::string &name, bool exists);

  /// Applies a record. Throws Error(DataLoss) on one that makes no sense.
  void replay(std::string_view record);
  /// Writes all there is as records.
  void save(const Journal::Record &write) const;
  /// How many records save() writes, at most.
  std::size_t recordCount() const noexcept;

  // Changes that take more than one member.
  Container &insert(Container container);
  void erase(Container &container);
  void setLife(Container &container, const Life &life);

private:
  std::string metaRecord() const;
  void replayPut(std::string_view bytes);
  void replayLife(std::string_view bytes);
};

} // namespace matrixos::simulated
