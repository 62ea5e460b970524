"""One PJSUA2 phone in a process of its own: commands as JSON lines in, events as JSON lines out.

Started by `pjsua.rs`, which explains the commands. Needs a Python with the module `pjsua2`
(`cargo xtask deps` makes one). The phone speaks a WAV file in a loop and records all that it hears
into another one, silence included, so that a moment of the recording is a moment of the test.
"""

import json
import os
import select
import sys

import pjsua2 as pj

# The library prints on standard output too: events go to a copy, everything else to the log.
EVENTS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

STATES = {
    pj.PJSIP_INV_STATE_CALLING: "calling",
    pj.PJSIP_INV_STATE_INCOMING: "incoming",
    pj.PJSIP_INV_STATE_EARLY: "early",
    pj.PJSIP_INV_STATE_CONNECTING: "connecting",
    pj.PJSIP_INV_STATE_CONFIRMED: "established",
    pj.PJSIP_INV_STATE_DISCONNECTED: "closed",
}


def emit(kind, **fields):
    EVENTS.write(json.dumps({"type": kind, **fields}) + "\n")
    EVENTS.flush()


class Call(pj.Call):
    """A call that connects the microphone and the recorder whenever it has audio."""

    def __init__(self, phone, call_id=pj.PJSUA_INVALID_ID):
        super().__init__(phone.account, call_id)
        self.phone = phone
        # Held for as long as the call: the connections end with the object.
        self.audio = None

    def onCallState(self, prm):
        info = self.getInfo()
        state = STATES.get(info.state, str(info.state))
        emit(state, status=int(info.lastStatusCode), reason=info.lastReason, peer=info.remoteUri)
        if state != "closed":
            return
        self.phone.finished.append(self)
        if self in self.phone.held:
            self.phone.held.remove(self)
        elif self.phone.call is self:
            self.phone.call = self.phone.held.pop() if self.phone.held else None

    def onCallMediaState(self, prm):
        # The list lives no longer than the object that it is taken from.
        info = self.getInfo()
        for media in info.media:
            active = media.status in (
                pj.PJSUA_CALL_MEDIA_ACTIVE,
                pj.PJSUA_CALL_MEDIA_REMOTE_HOLD,
            )
            if media.type == pj.PJMEDIA_TYPE_AUDIO and active and media.dir != 0:
                self.audio = self.getAudioMedia(media.index)
                self.phone.microphone.startTransmit(self.audio)
                self.audio.startTransmit(self.phone.recorder)


class Account(pj.Account):
    def __init__(self, phone):
        super().__init__()
        self.phone = phone

    def onRegState(self, prm):
        emit("register", status=int(prm.code), expires=int(prm.expiration))

    def onIncomingCall(self, prm):
        call = Call(self.phone, prm.callId)
        if self.phone.call is not None:
            call.hangup(parameters(486))
            self.phone.finished.append(call)
            return
        self.phone.call = call
        emit("incoming", peer=call.getInfo().remoteUri)
        asked = answers_itself(prm.rdata.wholeMsg)
        call.answer(parameters(200 if asked else 180))


def answers_itself(invite):
    """What desk phones take as the wish that they answer by themselves."""
    headers = invite.split("\r\n\r\n")[0].lower()
    wishes = ("answer-mode: auto", "answer-after=0", "info=alert-autoanswer")
    return any(wish in headers for wish in wishes)


def parameters(status=0, flag=None):
    found = pj.CallOpParam(True)
    found.opt.audioCount = 1
    found.opt.videoCount = 0
    if flag is not None:
        found.opt.flag = flag
    found.statusCode = status
    return found


class Phone:
    """The library with one account, and what it speaks into and listens with."""

    def __init__(self, setup):
        self.setup = setup
        self.call = None
        # Calls that stand beside the one that keys act on.
        self.held = []
        # The library must not see a call object collected while it still reports about it.
        self.finished = []
        self.endpoint = pj.Endpoint()
        self.endpoint.libCreate()
        self.endpoint.libInit(self.library())
        self.endpoint.audDevManager().setNullDev()
        transport = self.transport()
        self.endpoint.libStart()
        for codec in self.endpoint.codecEnum2():
            wanted = [name.lower() + "/" for name in setup["codecs"]]
            place = [n for n, name in enumerate(wanted) if codec.codecId.lower().startswith(name)]
            self.endpoint.codecSetPriority(codec.codecId, 250 - place[0] if place else 0)
        self.recorder = pj.AudioMediaRecorder()
        self.recorder.createRecorder(setup["heard"])
        # The recorder only runs while something is connected to it.
        self.silence = pj.AudioMediaPlayer()
        self.silence.createPlayer(setup["silence"])
        self.silence.startTransmit(self.recorder)
        self.microphone = pj.AudioMediaPlayer()
        self.microphone.createPlayer(setup["tone"])
        self.account = Account(self)
        self.account.create(self.account_settings(transport))

    def library(self):
        settings = pj.EpConfig()
        settings.uaConfig.threadCnt = 0
        settings.uaConfig.mainThreadOnly = True
        settings.uaConfig.userAgent = "pjsua2"
        settings.logConfig.level = 5
        settings.logConfig.consoleLevel = 0
        settings.logConfig.filename = self.setup["log"]
        settings.logConfig.msgLogging = 1
        settings.medConfig.clockRate = 8000
        settings.medConfig.sndClockRate = 8000
        settings.medConfig.ecTailLen = 0
        settings.medConfig.noVad = True
        settings.medConfig.sndAutoCloseTime = -1
        return settings

    def transport(self):
        setup = self.setup
        settings = pj.TransportConfig()
        settings.port = setup["port"]
        settings.boundAddress = setup["address"]
        settings.tlsConfig.CaListFile = setup["trusted"]
        settings.tlsConfig.verifyServer = True
        six = ":" in setup["address"]
        kinds = {
            "udp": (pj.PJSIP_TRANSPORT_UDP, pj.PJSIP_TRANSPORT_UDP6),
            "tcp": (pj.PJSIP_TRANSPORT_TCP, pj.PJSIP_TRANSPORT_TCP6),
            "tls": (pj.PJSIP_TRANSPORT_TLS, pj.PJSIP_TRANSPORT_TLS6),
        }
        return self.endpoint.transportCreate(kinds[setup["transport"]][six], settings)

    def account_settings(self, transport):
        setup = self.setup
        settings = pj.AccountConfig()
        settings.idUri = f"sip:{setup['user']}@{setup['server']}"
        settings.regConfig.registrarUri = self.uri("")
        settings.regConfig.registerOnAdd = setup["registers"]
        settings.regConfig.timeoutSec = setup["expires"]
        settings.regConfig.delayBeforeRefreshSec = max(1, min(5, setup["expires"] // 5))
        credentials = pj.AuthCredInfo("digest", "*", setup["user"], 0, setup["password"])
        settings.sipConfig.authCreds.append(credentials)
        if setup["transport"] == "udp":
            settings.sipConfig.transportId = transport
        else:
            settings.sipConfig.proxies.append(self.uri("") + ";lr")
        settings.natConfig.contactRewriteUse = 0
        settings.natConfig.viaRewriteUse = 0
        settings.natConfig.sdpNatRewriteUse = 0
        media = settings.mediaConfig
        media.transportConfig.port = setup["media_port"]
        media.transportConfig.portRange = 18
        # The wheel is built without IPv6 for media (asking for it ends in an assertion of
        # pjsua_acc.c): a phone on IPv6 signals there and offers media on IPv4.
        six = ":" in setup["address"]
        media.transportConfig.boundAddress = "127.0.0.1" if six else setup["address"]
        call = settings.callConfig
        call.timerUse = pj.PJSUA_SIP_TIMER_ALWAYS if setup["session"] else 1
        call.timerMinSESec = 90
        call.timerSessExpiresSec = setup["session"] or 1800
        return settings

    def uri(self, user):
        at = f"{user}@" if user else ""
        kind = self.setup["transport"]
        return f"sip:{at}{self.setup['server']}" + ("" if kind == "udp" else f";transport={kind}")

    def obey(self, command):
        word = command["command"]
        if word == "dial":
            late = pj.PJSUA_CALL_NO_SDP_OFFER if self.setup["late"] else None
            if self.call is not None:
                self.held.append(self.call)
            self.call = Call(self)
            self.call.makeCall(self.uri(command["number"]), parameters(flag=late))
        elif word == "answer":
            self.call.answer(parameters(200))
        elif word == "hang_up":
            self.call.hangup(parameters())
        elif word == "transfer":
            self.call.xfer(self.uri(command["number"]), parameters())
        elif word == "put_through":
            self.held[-1].xferReplaces(self.call, parameters())
        elif word == "hold":
            self.call.setHold(parameters())
        elif word == "resume":
            self.call.reinvite(parameters(flag=pj.PJSUA_CALL_UNHOLD))
        elif word == "flush":
            # The log is written in blocks: what stands before these lines is in the file then.
            for _ in range(3):
                self.endpoint.utilLogWrite(1, "flush", "." * 2000)
        else:
            raise ValueError(f"unknown command {word}")

    def run(self):
        emit("ready")
        unread = b""
        while True:
            self.endpoint.libHandleEvents(10)
            if not select.select([sys.stdin], [], [], 0)[0]:
                continue
            some = os.read(sys.stdin.fileno(), 65536)
            if not some:
                return
            *lines, unread = (unread + some).split(b"\n")
            for line in lines:
                try:
                    self.obey(json.loads(line))
                    emit("done")
                except pj.Error as error:
                    emit("failed", reason=error.info())
                except (AttributeError, IndexError, ValueError) as error:
                    emit("failed", reason=repr(error))


if __name__ == "__main__":
    try:
        Phone(json.loads(sys.argv[1])).run()
    except pj.Error as error:
        emit("failed", reason=error.info())
    # Tearing the library down would wait for its timers; its owner wants it gone at once.
    os._exit(0)
