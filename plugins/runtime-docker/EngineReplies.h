#pragma once

#include "EngineDocuments.h"
#include "ImageName.h"

#include <matrixos/json.hpp>

#include <Poco/Exception.h>

#include <string>
#include <string_view>

namespace matrixos::docker {

/// Runs `read`, which reads the engine's answer to `title`, and turns its complaints into Unavailable/ENGINE_REPLY.
auto readReply(const std::string &title, auto &&read) {
  const auto refuse = [&](const std::string &why) {
    return Error(Status::Unavailable, "the engine's answer to " + title + " makes no sense: " + why, "ENGINE_REPLY");
  };
  try {
    return read();
  } catch (const Error &e) {
    if (e.status() != Status::InvalidArgument) throw;
    throw refuse(e.what());
  } catch (const Poco::Exception &e) {
    throw refuse(e.displayText());
  }
}

/// Readers of the engine's documents. They throw Error(InvalidArgument) for what the API does not allow; run them
/// inside readReply().
EngineVersion readVersion(std::string_view body);
ImageInfo readImage(std::string_view body);
NetworkInfo readNetwork(const json::Object &object);
ContainerInfo readContainer(std::string_view body);
ContainerStats readStats(std::string_view body);
/// Throws what the pull failed with when the document says so.
PullStep readPullStep(std::string_view line, const ImageName &image);
/// The engine's words for what the contract knows as events.
std::vector<std::string> eventActions();
/// False for an event that the contract does not know. Of a container that was taken off a network it says the id
/// alone.
bool readEvent(std::string_view line, ContainerEvent &event);
/// The "Id" of every element of an array.
std::vector<std::string> readIds(std::string_view body);
std::string readId(std::string_view body);
/// The elements of an array, each of which has to be an object.
std::vector<json::Object::Ptr> readObjects(std::string_view body);

/// The engine's own words in an error answer: its "message", else the text itself, tidied and shortened.
std::string engineWords(std::string_view body);

/// The host ports that the engine's words about a conflict name: "Bind for 127.0.0.1:4001 failed: port is already
/// allocated". Perhaps other numbers behind colons, too.
std::vector<int> portsNamed(std::string_view words);

/// The failure of a pull, by the engine's words: IMAGE_NOT_FOUND, IMAGE_DENIED or PULL_FAILED, with what to do.
Error pullError(const ImageName &image, int httpStatus, const std::string &words);

} // namespace matrixos::docker
