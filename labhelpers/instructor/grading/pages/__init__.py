"""What comes out: feedback pages, grades for other systems, the class report."""
