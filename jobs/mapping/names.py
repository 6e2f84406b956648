"""The names that trackers and people give to our events and fields."""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

APP_EVENTS = ("registered", "app_loaded")

_EVENTS: Mapping[str, tuple[str, ...]] = {
    "registered": (
        *("register", "registration", "userregistration", "userregistered"),
        *("registrationcompleted", "completeregistration", "completedregistration"),
        *("signup", "signedup", "usersignup", "usersignedup", "signupcompleted"),
        *("signupsuccess", "accountcreated", "createaccount", "usercreated"),
    ),
    "app_loaded": (
        *("apploaded", "apploading", "applicationopened", "applicationloaded"),
        *("appopen", "appopened", "openapp", "openedapp", "applaunch", "applaunched"),
        *("appstart", "appstarted", "applicationlaunched", "applicationstarted"),
        *("firstopen", "sessionopened"),
    ),
    "session_start": (
        *("sessionstarted", "startsession", "videostart", "videostarted"),
        *("videoplay", "videoplayed", "playvideo", "videoplaybackstarted"),
        *("playbackstart", "playbackstarted", "startplayback", "streamstarted"),
    ),
    "watch_time": (
        *("watchtime", "watched", "timewatched", "videowatched", "videoprogress"),
        *("videocontentplaying", "playbackprogress", "heartbeat", "videoheartbeat"),
    ),
    "session_end": (
        *("sessionended", "endsession", "videoend", "videoended", "videocomplete"),
        *("videocompleted", "videostopped", "videoplaybackcompleted", "playbackend"),
        *("playbackended", "playbackcompleted", "stopplayback", "streamended"),
    ),
    "heart": ("hearted", "heartvideo", "videohearted"),
    "like": ("liked", "likevideo", "videolike", "videoliked"),
}
_LIKENESS = 0.85  # so that likes is near like, and dislike is not

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "timestamp": (
        *("timestamp", "eventtimestamp", "eventtime", "occurredat", "timestampms"),
        *("timestamputc", "time", "ts", "datetime", "eventdatetime", "eventdate"),
        *("createdat", "clienttime", "clienttimestamp", "loggedat", "happenedat"),
        *("servertime", "servertimestamp", "receivedat", "epoch", "unixtime", "date"),
        *("when", "at", "t"),
    ),
    "event": (
        *("eventname", "event", "eventtype", "eventaction", "eventkey", "eventcode"),
        *("action", "activity", "activitytype", "actiontype", "actionname", "verb"),
        *("name", "type", "kind", "operation"),
    ),
    "user": (
        *("userid", "useruuid", "uid", "customerid", "memberid", "viewerid"),
        *("subscriberid", "playerid", "clientid", "personid", "profileid", "actorid"),
        *("distinctid", "initiatorid", "ownerid", "user", "customer", "accountid"),
    ),
    "anonymous": (
        *("anonymousid", "anonid", "visitorid", "userpseudoid", "cookieid"),
        *("deviceid", "installid", "installationid", "browserid"),
    ),
    "event_id": (
        *("eventid", "eventuuid", "messageid", "insertid", "uuid", "guid", "id"),
    ),
    "session_id": ("sessionid", "sessionuuid", "session", "visitid", "playbackid"),
    "video_id": (
        *("videoid", "contentid", "mediaid", "assetid", "movieid", "filmid"),
        *("episodeid", "showid", "trackid", "songid", "itemid", "video"),
    ),
    "account_id": (
        *("accountid", "orgid", "organizationid", "organisationid", "tenantid"),
        *("companyid", "workspaceid", "groupid"),
    ),
    "value": (
        *("value", "watchtime", "watchtimes", "watchedseconds", "secondswatched"),
        *("watchseconds", "watchduration", "playtime", "durationseconds", "durations"),
        *("durationsec", "durationsecs", "seconds", "duration"),
    ),
    "device": ("device", "devicename", "devicemodel", "model"),
    "device_os": ("deviceos", "os", "osname", "operatingsystem", "platform"),
    "device_type": ("devicetype", "devicecategory", "formfactor", "device"),
    "app_version": ("appversion", "appversionname", "clientversion", "version"),
    "country": ("country", "countrycode", "geocountry", "countryname"),
    "channel": (
        *("channel", "acquisitionchannel", "utmsource", "utmmedium", "source"),
        *("medium", "referrer"),
    ),
}


def plain(name: str) -> str:
    """A name as people compare it: without case, blanks and separators."""
    return re.sub(r"[\W_]", "", name).lower()


def our_event(name: str) -> str | None:
    """Our event that a name resembles; None if it resembles none."""
    written = plain(name)
    for ours, others in _EVENTS.items():
        if written == plain(ours) or written in others:
            return ours
    ours_by_plain = {plain(ours): ours for ours in _EVENTS}
    near = get_close_matches(written, ours_by_plain, n=1, cutoff=_LIKENESS)
    return ours_by_plain[near[0]] if near else None


def rank(field: str, names: Iterable[str]) -> int | None:
    """How well one of these names tells this field, 0 best; None if none does."""
    known = _FIELDS[field]
    found = [known.index(each) for each in map(plain, names) if each in known]
    return min(found, default=None)
