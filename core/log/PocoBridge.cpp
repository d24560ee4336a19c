#include "log/Log.h"

#include <Poco/AutoPtr.h>
#include <Poco/Channel.h>
#include <Poco/Logger.h>
#include <Poco/Message.h>

namespace matrixos::log {
namespace {

Level levelOf(Poco::Message::Priority priority) {
  switch (priority) {
  case Poco::Message::PRIO_FATAL:
  case Poco::Message::PRIO_CRITICAL:
  case Poco::Message::PRIO_ERROR:
    return Level::Error;
  case Poco::Message::PRIO_WARNING:
    return Level::Warning;
  case Poco::Message::PRIO_NOTICE:
  case Poco::Message::PRIO_INFORMATION:
    return Level::Info;
  default:
    return Level::Debug;
  }
}

class PocoChannel : public Poco::Channel {
public:
  void log(const Poco::Message &message) override {
    const std::string &source = message.getSource();
    Log(source.empty() ? std::string("poco") : "poco." + source)
        .write(levelOf(message.getPriority()), message.getText(), {});
  }
};

} // namespace

void capturePoco() {
  const Poco::AutoPtr<Poco::Channel> channel(new PocoChannel);
  // Loggers that exist keep their own channel, so they are all set; later ones inherit it from the root.
  Poco::Logger::root().setChannel(channel);
  Poco::Logger::setChannel("", channel);
}

} // namespace matrixos::log
