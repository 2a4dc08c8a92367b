"""Small ext4 disks on loop devices, which may be cut, filled and made read-only without anybody else noticing.

They are mounted in a mount namespace of the harness's own (`enter_namespace`): a container that somebody starts meanwhile would
inherit the mounts, and an unmounted disk would live on in it. What is left of a killed harness goes with the namespace.
"""
import fcntl
import os
import shutil
import stat
import struct
import subprocess
import sys
import time

EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32)
CUTS = {0: "flush all", 1: "flush the log only", 2: "drop all"}


def missing():
    """Why there can be no disks here; None when there can."""
    if os.geteuid() != 0:
        return "a loop mount needs root"
    for program in ("mkfs.ext4", "mount", "umount", "losetup"):
        if not shutil.which(program):
            return f"there is no {program}"
    if subprocess.run(["losetup", "-f"], capture_output=True).returncode != 0:
        return "there is no free loop device"
    return None


def enter_namespace():
    """Starts this program again in a mount namespace of its own, where that is possible."""
    if os.geteuid() != 0 or os.environ.get("TORTURE_NAMESPACE") or not shutil.which("unshare"):
        return
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0:
        os.environ["TORTURE_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])


class Disk:
    """One image below a folder. Nothing is mounted until `mount`; `close` may be called at any time."""

    mounted = []  # whatever ends the harness unmounts these

    def __init__(self, folder, megabytes, name="disk", options=(), mount_options=""):
        os.makedirs(folder, exist_ok=True)
        self.image, self.point = os.path.join(folder, f"{name}.img"), os.path.join(folder, name)
        self.store = os.path.join(self.point, "store")
        self.device = None
        self._options = "loop" + ("," + mount_options if mount_options else "")
        os.makedirs(self.point, exist_ok=True)
        if os.path.exists(self.image):
            os.unlink(self.image)
        with open(self.image, "wb") as image:
            image.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", *options, self.image], check=True)

    def mount(self):
        subprocess.run(["mount", "-o", self._options, self.image, self.point], check=True)
        Disk.mounted.append(self)
        self.device = self._mounted_device()

    def _mounted_device(self):
        """The device mounted here, or None."""
        # Not os.path.ismount: it asks the file system, and one that was cut may answer with an error.
        with open("/proc/self/mounts") as mounts:
            for line in mounts:
                device, point = line.split(" ")[:2]
                if point.replace("\\040", " ") == self.point:
                    return device
        return None

    def cut(self, flag):
        """What a power cut does to a file system: nothing more reaches the disk, and every call fails."""
        fd = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", flag))
        finally:
            os.close(fd)

    def unmount(self):
        self._wait(lambda: not self._mounted_device() or subprocess.run(
            ["umount", self.point], stderr=subprocess.DEVNULL).returncode == 0, f"{self.point} stays busy")
        if self.device:
            # A device that lingers would be used again, with the pages it still has.
            backing = f"/sys/block/{os.path.basename(self.device)}/loop/backing_file"
            self._wait(lambda: not self._is_backed_by_us(backing), f"{self.device} stays attached")
            self.device = None
        if self in Disk.mounted:
            Disk.mounted.remove(self)

    def _is_backed_by_us(self, backing):
        try:
            with open(backing) as file:
                return os.path.basename(file.read().strip()) == os.path.basename(self.image)
        except OSError:
            return False

    @staticmethod
    def _wait(is_done, complaint):
        for _ in range(1000):
            if is_done():
                return
            time.sleep(0.01)
        raise RuntimeError(complaint)

    def remount(self):
        self.unmount()
        self.mount()

    @property
    def free(self):
        """Bytes that root may still write."""
        status = os.statvfs(self.point)
        return status.f_bfree * status.f_frsize

    @classmethod
    def close_all(cls):
        for disk in reversed(list(cls.mounted)):
            try:
                disk.unmount()
            except RuntimeError as error:
                print(f"torture: {error}", flush=True)
                cls.mounted.remove(disk)


def drop_pages(folder):
    """Lets the clean pages of these files go, so that what is read next comes from the disk."""
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                if not stat.S_ISREG(os.lstat(os.path.join(path, name)).st_mode):
                    continue
                fd = os.open(os.path.join(path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue  # gone meanwhile, or on a disk that gives nothing back
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
