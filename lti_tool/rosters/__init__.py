"""The rosters of courses as platforms list them (Names and Role Provisioning Services 2.0)."""
