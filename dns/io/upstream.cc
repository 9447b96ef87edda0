#include "dns/io/upstream.h"

#include <array>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "dns/io/convert.h"

namespace weft::dns {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

// Its pending operations keep it alive; once ended it calls nobody.
class Upstream::Question {
 public:
  Question(AskId id, const Handlers& handlers) : id_(id), handlers_(&handlers) {}
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  virtual ~Question() = default;

  virtual void start(const Ask& ask) = 0;
  void end() {
    handlers_ = nullptr;
    close();
  }

 protected:
  virtual void close() = 0;
  bool ended() const { return handlers_ == nullptr; }
  // Copies, as the handler may end this.
  void answered(ByteView message) {
    if (!ended()) {
      const auto handler = handlers_->on_answer;
      handler(id_, message);
    }
  }
  void failed() {
    if (!ended()) {
      const auto handler = handlers_->on_failed;
      handler(id_);
    }
  }

 private:
  AskId id_;
  const Handlers* handlers_;
};

namespace {

class UdpQuestion final : public Upstream::Question,
                          public std::enable_shared_from_this<UdpQuestion> {
 public:
  UdpQuestion(const asio::any_io_executor& executor, AskId id, const Upstream::Handlers& handlers)
      : Question(id, handlers),
        socket_(executor) {}

  void start(const Ask& ask) override {
    const asio::ip::udp::endpoint server(to_asio(ask.server.address), ask.server.port);
    ErrorCode error;
    // Connected, so that the kernel lets nobody else answer and tells when nobody listens.
    socket_.connect(server, error);
    if (!error) {
      socket_.send(asio::buffer(ask.message), 0, error);
    }
    if (error) {
      asio::post(socket_.get_executor(), [self = shared_from_this()] { self->failed(); });
      return;
    }
    receive();
  }

 private:
  void receive() {
    socket_.async_receive(asio::buffer(buffer_),
                          [self = shared_from_this()](const ErrorCode& error, std::size_t size) {
                            if (self->ended()) {
                              return;
                            }
                            if (error) {
                              self->failed();
                              return;
                            }
                            self->answered(ByteView(self->buffer_).first(size));
                            if (!self->ended()) {
                              self->receive();  // That was not the answer.
                            }
                          });
  }

  void close() override {
    ErrorCode ignored;
    socket_.close(ignored);
  }

  asio::ip::udp::socket socket_;
  std::array<std::uint8_t, kUdpSizeMax> buffer_{};
};

class TcpQuestion final : public Upstream::Question,
                          public std::enable_shared_from_this<TcpQuestion> {
 public:
  TcpQuestion(const asio::any_io_executor& executor, AskId id, const Upstream::Handlers& handlers)
      : Question(id, handlers),
        socket_(executor) {}

  void start(const Ask& ask) override {
    out_ = {static_cast<std::uint8_t>(ask.message.size() >> 8U),
            static_cast<std::uint8_t>(ask.message.size())};
    out_.insert(out_.end(), ask.message.begin(), ask.message.end());
    socket_.async_connect({to_asio(ask.server.address), ask.server.port},
                          [self = shared_from_this()](const ErrorCode& error) {
                            error ? self->failed() : self->write();
                          });
  }

 private:
  void write() {
    asio::async_write(socket_,
                      asio::buffer(out_),
                      [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                        error ? self->failed() : self->read_size();
                      });
  }

  void read_size() {
    asio::async_read(socket_,
                     asio::buffer(size_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       error ? self->failed() : self->read();
                     });
  }

  void read() {
    in_.resize((static_cast<std::size_t>(size_[0]) << 8U) | size_[1]);
    asio::async_read(socket_,
                     asio::buffer(in_),
                     [self = shared_from_this()](const ErrorCode& error, std::size_t) {
                       if (error) {
                         self->failed();
                         return;
                       }
                       self->answered(self->in_);
                       self->failed();  // Unless that was the answer.
                     });
  }

  void close() override {
    ErrorCode ignored;
    socket_.close(ignored);
  }

  asio::ip::tcp::socket socket_;
  Bytes out_;
  Bytes in_;
  std::array<std::uint8_t, 2> size_{};
};

}  // namespace

Upstream::Upstream(asio::any_io_executor executor, Handlers handlers)
    : executor_(std::move(executor)),
      handlers_(std::move(handlers)) {}

Upstream::~Upstream() {
  for (const auto& [id, question] : questions_) {
    question->end();
  }
}

void Upstream::ask(const Ask& ask) {
  std::shared_ptr<Question> question;
  if (ask.transport == Transport::Udp) {
    question = std::make_shared<UdpQuestion>(executor_, ask.id, handlers_);
  } else {
    question = std::make_shared<TcpQuestion>(executor_, ask.id, handlers_);
  }
  questions_.emplace(ask.id, question);
  question->start(ask);
}

void Upstream::end(AskId ask) {
  if (const auto at = questions_.find(ask); at != questions_.end()) {
    at->second->end();
    questions_.erase(at);
  }
}

}  // namespace weft::dns
